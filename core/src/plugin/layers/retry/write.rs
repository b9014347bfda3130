//! Each try of a write begins with a new body. A conditional write whose answer was lost may have succeeded: then the
//! object that is there now is looked at before anybody is told of a conflict.

use std::time::Duration;

use bytes::{Buf, Bytes};
use litestream_sdk::{Body, ErrorKind, ObjectInfo, ReadRequest, Result, StorageError, Time, WriteRequest};

use crate::plugin::source::WriteSource;

use super::{Attempts, Retry, Urgency};

impl Retry {
    pub async fn write(&self, request: WriteRequest, source: &dyn WriteSource, urgency: Urgency) -> Result<ObjectInfo> {
        let mut attempts = Attempts::new(urgency);
        loop {
            let error = match self.inner.write(request.clone(), source.open()?).await {
                Ok(info) => {
                    self.tokens.give();
                    return Ok(info);
                }
                Err(error) => error,
            };
            let answer_lost = attempts.tries > 0;
            if error.kind == ErrorKind::CONFLICT && request.if_absent && answer_lost {
                return match self.written_by_us(&request, source, urgency).await? {
                    Some(info) => Ok(info),
                    None => Err(error),
                };
            }
            self.tokens.pause(&mut attempts, error).await?;
        }
    }

    /// Whether an earlier try made the object after all: the same size and time, or the same bytes where the store
    /// keeps no exact time.
    async fn written_by_us(
        &self,
        request: &WriteRequest,
        source: &dyn WriteSource,
        urgency: Urgency,
    ) -> Result<Option<ObjectInfo>> {
        let info = self.stat(&request.key, urgency).await?;
        if source.size().is_some_and(|size| size != info.size) {
            return Ok(None);
        }
        if let Time::Exact(time) = info.time {
            let step = self.inner.capability().time_step;
            if Duration::from_nanos(time.0.abs_diff(request.time.0)) > step {
                return Ok(None);
            }
            if source.size().is_some() {
                return Ok(Some(info));
            }
        }
        let (_, stored) = self.read(ReadRequest::whole(request.key.clone()), urgency).await?;
        Ok(same_bytes(stored, source.open()?).await?.then_some(info))
    }
}

async fn same_bytes(mut one: Body, mut other: Body) -> Result<bool, StorageError> {
    let (mut left, mut right) = (Bytes::new(), Bytes::new());
    loop {
        let left_ended = !refill(&mut one, &mut left).await?;
        let right_ended = !refill(&mut other, &mut right).await?;
        if left_ended || right_ended {
            return Ok(left_ended && right_ended);
        }
        let both = left.len().min(right.len());
        if left[..both] != right[..both] {
            return Ok(false);
        }
        left.advance(both);
        right.advance(both);
    }
}

/// Makes sure that `chunk` holds something; false at the end of the body.
async fn refill(body: &mut Body, chunk: &mut Bytes) -> Result<bool> {
    while chunk.is_empty() {
        match body.next().await? {
            Some(next) => *chunk = next,
            None => return Ok(false),
        }
    }
    Ok(true)
}
