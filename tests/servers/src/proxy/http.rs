//! One HTTP/1.1 connection of a client: request after request, each sent to the server on a connection of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::Fault;
use super::head::{Head, Length};
use super::pipe::Pipe;
use super::plan::Plan;

pub(super) fn serve(client: TcpStream, upstream: &str, plan: &Plan) -> io::Result<()> {
    let mut requests = BufReader::new(client.try_clone()?);
    while let Some(head) = Head::read(&mut requests)? {
        let fault = plan.meet(head.word(0), head.word(1));
        if !exchange(head, &mut requests, &mut &client, upstream, fault.as_ref())? {
            break;
        }
    }
    Ok(())
}

/// One request and its answer; whether the connection goes on.
fn exchange(
    mut head: Head,
    requests: &mut impl BufRead,
    client: &mut impl Write,
    upstream: &str,
    fault: Option<&Fault>,
) -> io::Result<bool> {
    let method = head.word(0).to_owned();
    if head.remove("expect") {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let closes = head.closes();
    if let Some(Fault::Answer { status, headers, body }) = fault {
        copy(&mut Pipe::default(), requests, &mut io::sink(), head.request_length())?;
        answer(client, &method, *status, headers, body)?;
        return Ok(!closes);
    }
    let server = TcpStream::connect(upstream)?;
    server.set_nodelay(true)?;
    (&server).write_all(head.text.as_bytes())?;
    copy(&mut Pipe::of_request(fault), requests, &mut &server, head.request_length())?;
    let mut answers = BufReader::new(&server);
    let head = loop {
        let head = Head::read(&mut answers)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if head.status() >= 200 {
            break head;
        }
    };
    let length = head.answer_length(&method);
    if matches!(fault, Some(Fault::LoseAnswer)) {
        copy(&mut Pipe::default(), &mut answers, &mut io::sink(), length)?;
        return Ok(false);
    }
    client.write_all(head.text.as_bytes())?;
    copy(&mut Pipe::of_answer(fault), &mut answers, client, length)?;
    Ok(!closes && !head.closes() && length != Length::UntilClose)
}

fn answer(
    client: &mut impl Write,
    method: &str,
    status: u16,
    headers: &[(&'static str, String)],
    body: &str,
) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} Planted\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(if method == "HEAD" { "" } else { body });
    client.write_all(text.as_bytes())
}

fn copy(pipe: &mut Pipe, from: &mut impl BufRead, to: &mut impl Write, length: Length) -> io::Result<()> {
    match length {
        Length::Bytes(0) => Ok(()),
        Length::Bytes(bytes) => pipe.copy(from, to, Some(bytes)),
        Length::UntilClose => pipe.copy(from, to, None),
        Length::Chunked => copy_chunks(pipe, from, to),
    }
}

fn copy_chunks(pipe: &mut Pipe, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    loop {
        let line = copy_line(from, to)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| io::Error::other("not the size of a chunk"))?;
        if size == 0 {
            // What follows the last chunk: trailers, and an empty line.
            while copy_line(from, to)?.trim() != "" {}
            return Ok(());
        }
        pipe.copy(from, to, Some(size))?;
        Pipe::default().copy(&mut from.take(2), to, Some(2))?;
    }
}

fn copy_line(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    to.write_all(line.as_bytes())?;
    Ok(line)
}
