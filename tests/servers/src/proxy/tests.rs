//! Each fault does what it says, and nothing else is changed by the proxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::*;

/// Answers each request with its own method and body, forever; gives its address.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                let mut length = 0;
                let mut method = String::new();
                reader.read_line(&mut method).ok()?;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).ok()?;
                    if let Some(value) = line.strip_prefix("Content-Length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line == "\r\n" {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).ok()?;
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                let chunks = format!("{length:x}\r\n{}\r\n0\r\n\r\n", String::from_utf8(body).unwrap());
                (&stream)
                    .write_all(format!("{head}{}", if length == 0 { "0\r\n\r\n" } else { &chunks }).as_bytes())
                    .ok()
            });
        }
    });
    address
}

/// One request on an open connection; `None` if the connection breaks before the answer is whole.
fn ask(stream: &mut TcpStream, method: &str, body: &str) -> Option<String> {
    let text = format!("{method} /x?y HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream);
    loop {
        if reader.read_line(&mut answer).ok()? == 0 {
            return None;
        }
        if answer.ends_with("0\r\n\r\n") || (answer.contains("Content-Length: 0") && answer.ends_with("\r\n\r\n")) {
            return Some(answer);
        }
    }
}

fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).unwrap()
}

#[test]
fn requests_pass_unchanged_and_are_counted() {
    let proxy = Proxy::http(echo());
    let mut stream = connect(&proxy);
    for body in ["one", "", "three"] {
        assert!(ask(&mut stream, "PUT", body).unwrap().contains(body), "one connection carries many requests");
    }
    let request = Request { method: "PUT".to_owned(), target: "/x?y".to_owned() };
    assert_eq!(proxy.requests(), vec![request; 3]);
    proxy.forget_requests();
    assert_eq!(proxy.requests(), []);
}

#[test]
fn the_most_connections_at_once_are_kept_in_mind() {
    let proxy = Proxy::http(echo());
    assert_eq!(proxy.most_open(), 0);
    let mut streams = [connect(&proxy), connect(&proxy), connect(&proxy)];
    assert!(streams.iter_mut().all(|stream| ask(stream, "GET", "").is_some()));
    proxy.disconnect();
    assert!(ask(&mut connect(&proxy), "GET", "").is_some());
    assert_eq!(proxy.most_open(), 3);
}

#[test]
fn an_answer_of_the_proxy_comes_as_often_as_told() {
    let proxy = Proxy::http(echo());
    let slow = Fault::slow_down(503, Duration::from_secs(7));
    proxy.plant(Rule::new(slow).method("PUT").target("x?").after(1).times(2));
    assert!(proxy.is_waiting());
    let mut stream = connect(&proxy);
    let answers: Vec<String> = (0..4).map(|_| ask(&mut stream, "PUT", "body").unwrap()).collect();
    assert!(!proxy.is_waiting());
    let refused: Vec<bool> = answers.iter().map(|answer| answer.contains("503")).collect();
    assert_eq!(refused, [false, true, true, false], "{answers:?}");
    assert!(answers[1].contains("Retry-After: 7\r\n"));
}

#[test]
fn a_cut_leaves_what_passed_before_it() {
    let proxy = Proxy::http(echo());
    proxy.plant(Rule::new(Fault::CutRequest(2)));
    assert_eq!(ask(&mut connect(&proxy), "PUT", "body"), None);
    proxy.plant(Rule::new(Fault::CutAnswer(2)));
    let mut stream = connect(&proxy);
    stream.write_all(b"PUT / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.ends_with("\r\n4\r\nbo"), "{answer}");
    proxy.plant(Rule::new(Fault::LoseAnswer));
    assert_eq!(ask(&mut connect(&proxy), "PUT", "body"), None);
    assert!(ask(&mut connect(&proxy), "PUT", "body").is_some(), "and then it works again");
}

#[test]
fn refusing_closes_what_is_open_and_healing_takes_the_same_port_again() {
    let proxy = Proxy::http(echo());
    let mut stream = connect(&proxy);
    assert!(ask(&mut stream, "GET", "").is_some());
    proxy.refuse();
    assert_eq!(ask(&mut stream, "GET", ""), None);
    assert!(TcpStream::connect(proxy.address()).is_err());
    proxy.heal();
    let mut stream = connect(&proxy);
    assert!(ask(&mut stream, "GET", "").is_some());
    proxy.disconnect();
    assert_eq!(ask(&mut stream, "GET", ""), None);
    assert!(ask(&mut connect(&proxy), "GET", "").is_some());
}

#[test]
fn other_protocols_pass_and_are_cut() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::tcp(upstream.local_addr().unwrap().to_string());
    thread::spawn(move || {
        for stream in upstream.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    proxy.plant(Rule::new(Fault::CutAnswer(3)).after(1));
    for expected in ["12345", "123"] {
        let mut stream = connect(&proxy);
        stream.write_all(b"12345").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert_eq!(answer, expected);
    }
    assert_eq!(proxy.requests().len(), 2);
}
