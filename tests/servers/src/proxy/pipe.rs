//! Moves the bytes of a body, with what a fault does to them.

use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

use super::Fault;

/// How bytes pass in one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    /// Bytes until the connection breaks.
    left: Option<u64>,
    trickle: Option<(usize, Duration)>,
}

impl Pipe {
    /// For the body of a request.
    pub fn of_request(fault: Option<&Fault>) -> Pipe {
        match fault {
            Some(Fault::CutRequest(after)) => Pipe { left: Some(*after), trickle: None },
            fault => Pipe::slow(fault),
        }
    }

    /// For the body of an answer.
    pub fn of_answer(fault: Option<&Fault>) -> Pipe {
        match fault {
            Some(Fault::CutAnswer(after)) => Pipe { left: Some(*after), trickle: None },
            fault => Pipe::slow(fault),
        }
    }

    fn slow(fault: Option<&Fault>) -> Pipe {
        match fault {
            Some(Fault::Trickle { bytes, pause }) => Pipe { left: None, trickle: Some((*bytes, *pause)) },
            _ => Pipe::default(),
        }
    }

    /// Moves `length` bytes, or all up to the end of the input.
    ///
    /// # Errors
    /// Where the connection is to break, or breaks by itself; an input that ends before `length`.
    pub fn copy(&mut self, from: &mut impl Read, to: &mut impl Write, length: Option<u64>) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        let mut wanted = length.unwrap_or(u64::MAX);
        while wanted > 0 {
            let mut piece = buffer.len().min(usize::try_from(wanted).unwrap_or(usize::MAX));
            if let Some(left) = self.left {
                if left == 0 {
                    return Err(io::Error::other("cut"));
                }
                piece = piece.min(usize::try_from(left).unwrap_or(usize::MAX));
            }
            if let Some((bytes, _)) = self.trickle {
                piece = piece.min(bytes.max(1));
            }
            let read = from.read(&mut buffer[..piece])?;
            if read == 0 {
                return if length.is_none() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            to.write_all(&buffer[..read])?;
            to.flush()?;
            wanted -= read as u64;
            self.left = self.left.map(|left| left - read as u64);
            if let Some((_, pause)) = self.trickle {
                thread::sleep(pause);
            }
        }
        Ok(())
    }
}
