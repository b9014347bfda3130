//! Values of the traits to values of the ABI, and back. What a plugin says is not trusted: its paths are checked again. What
//! this version does not know is refused or ignored by the growth rules of the ABI crate.

use crate::error::{ErrorKind, Result, StorageError};
use crate::types::{
    Capability, Entry, ListMode, ListRequest, Location, ObjectInfo, ObjectKey, ReadRequest, ReplicaPath, ShownBytes,
    Time, Timestamp, WriteRequest,
};
use litestream_sdk_abi as abi;
use litestream_sdk_abi::abi_stable::std_types::{RErr, ROk, RString, RVec};
use litestream_sdk_abi::{AbiError, AbiResult, Extras, NONE_U64, Pair};
use std::time::Duration;

pub(super) fn error_out(error: StorageError) -> AbiError {
    let wait = error.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(NONE_U64 - 1));
    AbiError {
        kind: error.kind.0,
        http_status: error.http_status,
        retry_after_ms: wait.unwrap_or(NONE_U64),
        message: error.message.into(),
        code: error.code.into(),
        request_id: error.request_id.into(),
        chain: error.chain.into_iter().map(RString::from).collect(),
        extras: RVec::new(),
    }
}

pub(super) fn error_in(error: AbiError) -> StorageError {
    let mut plain = StorageError::new(ErrorKind(error.kind), error.message);
    plain.http_status = error.http_status;
    plain.retry_after = some(error.retry_after_ms).map(Duration::from_millis);
    plain.code = error.code.into();
    plain.request_id = error.request_id.into();
    plain.chain = error.chain.into_iter().map(String::from).collect();
    plain
}

pub(super) fn result_out<T>(result: Result<T>) -> AbiResult<T> {
    match result {
        Ok(value) => ROk(value),
        Err(error) => RErr(error_out(error)),
    }
}

pub(super) fn result_in<T>(result: AbiResult<T>) -> Result<T> {
    match result {
        ROk(value) => Ok(value),
        RErr(error) => Err(error_in(error)),
    }
}

fn some(number: u64) -> Option<u64> {
    (number != NONE_U64).then_some(number)
}

fn text(text: RString) -> Option<String> {
    (!text.is_empty()).then(|| text.into())
}

pub(super) fn bytes_out(bytes: &[u8]) -> RVec<u8> {
    bytes.to_vec().into()
}

/// A key from the plugin, checked: what a plugin says is not trusted. Of this library's own allocator the bytes are taken
/// as they are.
fn key_in(key: RVec<u8>) -> Result<ObjectKey> {
    ObjectKey::from_vec(key.into())
}

/// A key from the host, as it is: a plugin trusts the program that has loaded it.
pub(super) fn key_of_host(key: RVec<u8>) -> ObjectKey {
    ObjectKey::from_key(key.into())
}

pub(super) fn pairs_out(pairs: &[(String, String)]) -> Extras {
    pairs.iter().map(|(key, value)| Pair { key: key.as_str().into(), value: value.as_str().into() }).collect()
}

/// An input that begins with `!` must be understood, and this version understands none.
fn refuse_required(extras: &Extras) -> Result<()> {
    match extras.iter().find(|extra| extra.key.starts_with('!')) {
        Some(extra) => Err(StorageError::unsupported(format_args!("input `{}`", extra.key))),
        None => Ok(()),
    }
}

pub(super) fn info_out(info: ObjectInfo) -> abi::Entry {
    let (time, flags) = match info.time {
        Time::Exact(time) => (time, abi::ENTRY_TIME | abi::ENTRY_TIME_EXACT),
        Time::Server(time) => (time, abi::ENTRY_TIME),
        Time::Unknown => (Timestamp(0), 0),
    };
    abi::Entry {
        key: info.key.into_bytes().into(),
        size: info.size,
        time_ns: time.0,
        flags,
        version: info.version.unwrap_or_default().into(),
    }
}

pub(super) fn no_info() -> abi::Entry {
    abi::Entry { key: RVec::new(), size: 0, time_ns: 0, flags: abi::ENTRY_NONE, version: RString::new() }
}

pub(super) fn info_in(entry: abi::Entry) -> Result<ObjectInfo> {
    let key = key_in(entry.key)?;
    Ok(described(key, entry.size, entry.time_ns, entry.flags, entry.version))
}

/// The answer to a question about `asked`, if it is about that key, as it must be: the key then need not be checked again.
pub(super) fn info_about(asked: &ObjectKey, entry: abi::Entry) -> Result<ObjectInfo> {
    let abi::Entry { key, size, time_ns, flags, version } = entry;
    if key.as_slice() == asked.as_bytes() {
        return Ok(described(ObjectKey::from_key(key.into()), size, time_ns, flags, version));
    }
    let shown = ShownBytes(&key);
    Err(StorageError::broken_contract(format!("asked about {asked}, the store describes {shown}")))
}

fn described(key: ObjectKey, size: u64, time_ns: i64, flags: u32, version: RString) -> ObjectInfo {
    let stamp = Timestamp(time_ns);
    let time = match (flags & abi::ENTRY_TIME != 0, flags & abi::ENTRY_TIME_EXACT != 0) {
        (false, _) => Time::Unknown,
        (true, false) => Time::Server(stamp),
        (true, true) => Time::Exact(stamp),
    };
    let mut info = ObjectInfo::new(key, size, time);
    info.version = text(version);
    info
}

pub(super) fn entry_out(entry: Entry) -> abi::Entry {
    match entry {
        Entry::Object(info) => info_out(info),
        Entry::Dir(path) => abi::Entry { key: bytes_out(path.as_bytes()), flags: abi::ENTRY_DIR, ..no_info() },
    }
}

pub(super) fn entry_in(entry: abi::Entry) -> Result<Entry> {
    if entry.flags & abi::ENTRY_DIR == 0 {
        return info_in(entry).map(Entry::Object);
    }
    ReplicaPath::parse(entry.key).map(Entry::Dir)
}

pub(super) fn list_out(request: ListRequest) -> abi::ListReq {
    let (mode, marker) = match request.mode {
        ListMode::Recursive => (abi::LIST_RECURSIVE, String::new()),
        ListMode::Shallow => (abi::LIST_SHALLOW, String::new()),
        ListMode::RollUp(marker) => (abi::LIST_ROLL_UP, marker),
    };
    abi::ListReq {
        prefix: bytes_out(request.prefix.as_bytes()),
        start_after: request.start_after.map(|key| bytes_out(key.as_bytes())).unwrap_or_default(),
        marker: marker.into_bytes().into(),
        mode,
        limit: request.limit.unwrap_or(NONE_U64),
        extras: RVec::new(),
    }
}

pub(super) fn list_in(request: abi::ListReq) -> Result<ListRequest> {
    refuse_required(&request.extras)?;
    let mode = match request.mode {
        abi::LIST_RECURSIVE => ListMode::Recursive,
        abi::LIST_SHALLOW => ListMode::Shallow,
        abi::LIST_ROLL_UP => {
            let marker = String::from_utf8(request.marker.into());
            ListMode::RollUp(marker.map_err(|_| StorageError::invalid_input("the marker of a roll-up is not UTF-8"))?)
        }
        unknown => return Err(StorageError::unsupported(format_args!("list mode {unknown}"))),
    };
    let mut list = ListRequest::below(ReplicaPath::parse(request.prefix)?).with_mode(mode);
    list.limit = some(request.limit);
    if !request.start_after.is_empty() {
        list.start_after = Some(ObjectKey::parse(request.start_after)?);
    }
    Ok(list)
}

pub(super) fn read_out(request: ReadRequest) -> abi::ReadReq {
    abi::ReadReq {
        key: bytes_out(request.key.as_bytes()),
        offset: request.offset,
        len: request.len.unwrap_or(NONE_U64),
        version: request.version.unwrap_or_default().into(),
        extras: RVec::new(),
    }
}

pub(super) fn read_in(request: abi::ReadReq) -> Result<ReadRequest> {
    refuse_required(&request.extras)?;
    let mut read = ReadRequest::from_offset(key_of_host(request.key), request.offset);
    read.len = some(request.len);
    read.version = text(request.version);
    Ok(read)
}

pub(super) fn write_out(request: WriteRequest) -> abi::WriteReq {
    abi::WriteReq {
        key: bytes_out(request.key.as_bytes()),
        size: request.size.unwrap_or(NONE_U64),
        time_ns: request.time.0,
        flags: if request.if_absent { abi::WRITE_IF_ABSENT } else { 0 },
        buffer: request.buffer,
        extras: RVec::new(),
    }
}

pub(super) fn write_in(request: abi::WriteReq) -> Result<WriteRequest> {
    refuse_required(&request.extras)?;
    let unknown = request.flags & !abi::WRITE_IF_ABSENT;
    if unknown != 0 {
        return Err(StorageError::unsupported(format_args!("write flag {unknown:#x}")));
    }
    let mut write = WriteRequest::new(key_of_host(request.key), Timestamp(request.time_ns))
        .with_if_absent(request.flags & abi::WRITE_IF_ABSENT != 0)
        .with_buffer(request.buffer);
    write.size = some(request.size);
    Ok(write)
}

pub(super) fn capability_out(capability: Capability) -> abi::CapabilityAbi {
    abi::CapabilityAbi {
        bits: capability.bits,
        max_in_flight: capability.max_in_flight,
        delete_batch: capability.delete_batch,
        write_buffer_min: *capability.write_buffer.start(),
        write_buffer_max: *capability.write_buffer.end(),
        read_buffer: capability.read_buffer,
        max_object: capability.max_object,
        time_step_ns: u64::try_from(capability.time_step.as_nanos()).unwrap_or(u64::MAX),
        max_key: capability.max_key,
        extras: RVec::new(),
    }
}

/// Numbers that would stop the host (no call at once, no key in a delete, an empty range) are raised to the least that
/// works.
pub(super) fn capability_in(capability: abi::CapabilityAbi) -> Capability {
    let (least, most) = (capability.write_buffer_min, capability.write_buffer_max);
    Capability::new(capability.bits)
        .with_max_in_flight(capability.max_in_flight.max(1))
        .with_delete_batch(capability.delete_batch.max(1))
        .with_write_buffer(least..=most.max(least))
        .with_read_buffer(capability.read_buffer)
        .with_max_object(capability.max_object)
        .with_max_key(capability.max_key)
        .with_time_step(Duration::from_nanos(capability.time_step_ns))
}

pub(super) fn location_out(location: &Location) -> abi::LocationAbi {
    abi::LocationAbi {
        base: bytes_out(location.base.as_bytes()),
        flags: if location.from_url { abi::LOCATION_FROM_URL } else { 0 },
        extras: pairs_out(&location.extras),
    }
}

pub(super) fn location_in(location: &abi::LocationAbi) -> Result<Location> {
    let mut plain = Location::new(ReplicaPath::parse(&location.base)?);
    plain.from_url = location.flags & abi::LOCATION_FROM_URL != 0;
    plain.extras = location.extras.iter().map(|extra| (extra.key.to_string(), extra.value.to_string())).collect();
    Ok(plain)
}
