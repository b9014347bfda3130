//! Takes connections, each on a thread of its own, and can stop taking them.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a new connection may wait for the thread that takes it.
const STEP: Duration = Duration::from_millis(2);

#[derive(Default)]
struct State {
    refuses: AtomicBool,
    stopped: AtomicBool,
    /// By the client's address: of a socket that is closed the system does not tell it any more.
    open: Mutex<Vec<(SocketAddr, TcpStream)>>,
    most_open: AtomicUsize,
}

pub(super) struct Listener {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// `serve` gets each connection on a thread of its own; when it returns, the connection is closed.
    pub fn start(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Listener {
        let address = SocketAddr::from(([127, 0, 0, 1], crate::free_port()));
        let socket = bind(address).expect("a port that was free a moment ago");
        let state = Arc::new(State::default());
        let shared = state.clone();
        let thread = thread::spawn(move || run(socket, address, &shared, &Arc::new(serve)));
        Listener { address, state, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most connections that were open at once.
    pub fn most_open(&self) -> usize {
        self.state.most_open.load(Ordering::SeqCst)
    }

    /// Closes every open connection.
    pub fn disconnect(&self) {
        self.state.close_all();
    }

    /// Returns when new connections are refused, or taken again.
    pub fn refuse(&self, refuse: bool) {
        self.state.refuses.store(refuse, Ordering::SeqCst);
        if refuse {
            self.state.close_all();
        }
        while TcpStream::connect(self.address).is_ok() == refuse {
            thread::sleep(STEP);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
        self.state.close_all();
    }
}

impl State {
    fn open(&self) -> MutexGuard<'_, Vec<(SocketAddr, TcpStream)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, client: SocketAddr, stream: TcpStream) {
        let mut open = self.open();
        open.push((client, stream));
        self.most_open.fetch_max(open.len(), Ordering::SeqCst);
    }

    fn close(&self, client: SocketAddr) {
        for (_, stream) in self.open().extract_if(.., |(open, _)| *open == client) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn close_all(&self) {
        for (_, stream) in self.open().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn run<S>(socket: TcpListener, address: SocketAddr, state: &Arc<State>, serve: &Arc<S>)
where
    S: Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
{
    let mut socket = Some(socket);
    while !state.stopped.load(Ordering::SeqCst) {
        if state.refuses.load(Ordering::SeqCst) {
            socket = None;
            state.close_all();
        } else if socket.is_none() {
            socket = bind(address).ok();
        }
        match socket.as_ref().map(TcpListener::accept) {
            Some(Ok((client, address))) => take(client, address, state, serve),
            _ => thread::sleep(STEP),
        }
    }
}

fn take<S>(client: TcpStream, address: SocketAddr, state: &Arc<State>, serve: &Arc<S>)
where
    S: Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
{
    let (state, serve) = (state.clone(), serve.clone());
    // A system that gives no second handle closes the connection: one more fault, no less.
    let (Ok(()), Ok(handle)) = (client.set_nonblocking(false), client.try_clone()) else { return };
    let _ = client.set_nodelay(true);
    state.add(address, handle);
    thread::spawn(move || {
        // How a connection ends is the client's to judge.
        let _ = serve(client);
        state.close(address);
    });
}
