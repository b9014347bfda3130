//! A connection of any protocol: bytes in both directions.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::thread;

use super::pipe::Pipe;
use super::plan::Plan;

pub(super) fn serve(client: TcpStream, upstream: &str, plan: &Plan) -> io::Result<()> {
    let fault = plan.meet("", "");
    let server = TcpStream::connect(upstream)?;
    server.set_nodelay(true)?;
    let (mut up, mut down) = (Pipe::of_request(fault.as_ref()), Pipe::of_answer(fault.as_ref()));
    thread::scope(|scope| {
        scope.spawn(|| {
            let broke = up.copy(&mut &client, &mut &server, None).is_err();
            let _ = server.shutdown(if broke { Shutdown::Both } else { Shutdown::Write });
            if broke {
                let _ = client.shutdown(Shutdown::Both);
            }
        });
        let _ = down.copy(&mut &server, &mut &client, None);
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    });
    Ok(())
}
