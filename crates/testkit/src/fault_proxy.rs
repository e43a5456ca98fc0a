//! A peer that misbehaves: TCP between a client and a server, passed on, held up or cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often what is held up looks whether it still is.
const GLANCE: Duration = Duration::from_millis(5);
const LONGEST_READ: usize = 16 << 10;
/// The most that a slow line makes up for.
const MADE_UP_FOR: Duration = Duration::from_millis(500);

/// A TCP proxy on loopback. It ends when it is dropped, and its connections with it.
///
/// ```no_run
/// let redis = buttress_testkit::Redis::start();
/// let proxy = buttress_testkit::FaultProxy::to(redis.addr());
/// let url = format!("redis://{}", proxy.addr());
/// proxy.slow_down(std::time::Duration::from_millis(50));
/// proxy.limit(1_000); // a slow line: 1 KB/s
/// proxy.stall(); // connections stay open, and nothing comes through
/// proxy.strand(); // the same for those that there are; new ones pass
/// proxy.pass();
/// proxy.cut(); // connections are closed; new ones pass
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    mode: AtomicU8,
    /// How long bytes are held back, in microseconds.
    delay: AtomicU64,
    /// How many bytes pass in a second; 0 for all that come.
    rate: AtomicU64,
    /// Connections that were opened before so many others carry nothing any more.
    stranded: AtomicU64,
    opened: AtomicU64,
    ended: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

const PASS: u8 = 0;
const STALL: u8 = 1;
const REFUSE: u8 = 2;

impl FaultProxy {
    /// A proxy to `upstream` that passes everything on.
    #[must_use]
    pub fn to(upstream: SocketAddr) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface has a free port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            upstream,
            mode: AtomicU8::new(PASS),
            delay: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            stranded: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                accepting.open(client);
            }
        });
        Self { addr, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Everything is passed on, without delay.
    pub fn pass(&self) {
        self.slow_down(Duration::ZERO);
        self.limit(0);
        self.shared.mode.store(PASS, Ordering::SeqCst);
    }

    /// Bytes come later by `delay`, in each direction.
    pub fn slow_down(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).expect("a delay of less than an age");
        self.shared.delay.store(micros, Ordering::SeqCst);
    }

    /// So many bytes pass in a second, in each direction of each connection; 0 for all that come. What a system holds back for a connection, some
    /// hundred KiB, is sent before the sender feels it.
    pub fn limit(&self, bytes_per_second: u64) {
        self.shared.rate.store(bytes_per_second, Ordering::SeqCst);
    }

    /// Connections are taken and stay open, but nothing goes through in either direction.
    pub fn stall(&self) {
        self.shared.mode.store(STALL, Ordering::SeqCst);
    }

    /// The connections that there are stay open and carry nothing any more, as if the host had vanished; new ones pass.
    pub fn strand(&self) {
        self.shared.stranded.store(self.shared.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// New connections are closed at once.
    pub fn refuse(&self) {
        self.shared.mode.store(REFUSE, Ordering::SeqCst);
    }

    /// Closes all connections there are.
    pub fn cut(&self) {
        self.shared.cut();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn open(self: &Arc<Self>, client: TcpStream) {
        if self.mode.load(Ordering::SeqCst) == REFUSE {
            return;
        }
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        let number = self.opened.fetch_add(1, Ordering::SeqCst);
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let both = |stream: &TcpStream| stream.try_clone().expect("a socket can be doubled");
        let (client_out, server_out) = (both(&client), both(&server));
        self.connections().extend([both(&client), both(&server)]);
        for (from, to) in [(client, server_out), (server, client_out)] {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.carry(number, from, to));
        }
    }

    /// Carries bytes one way until either end is closed.
    fn carry(&self, number: u64, mut from: TcpStream, mut to: TcpStream) {
        let (mut buffer, mut due) = ([0; LONGEST_READ], Instant::now());
        while let Ok(length @ 1..) = from.read(&mut buffer[..self.at_a_time()]) {
            while self.holds_up(number) && !self.ended.load(Ordering::SeqCst) {
                thread::sleep(GLANCE);
            }
            thread::sleep(Duration::from_micros(self.delay.load(Ordering::SeqCst)));
            self.take_time_for(length, &mut due);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    /// A slow line dribbles.
    fn at_a_time(&self) -> usize {
        match self.rate.load(Ordering::SeqCst) {
            0 => LONGEST_READ,
            rate => usize::try_from(rate / 20).unwrap_or(LONGEST_READ).clamp(1, LONGEST_READ),
        }
    }

    /// Waits until so many more bytes may pass on a slow line. A machine that was busy meanwhile makes up for it.
    fn take_time_for(&self, bytes: usize, due: &mut Instant) {
        let bytes = bytes as u64;
        while let Some(micros) = (bytes * 1_000_000).checked_div(self.rate.load(Ordering::SeqCst))
            && !self.ended.load(Ordering::SeqCst)
        {
            let now = Instant::now();
            let passes =
                (*due).max(now.checked_sub(MADE_UP_FOR).unwrap_or(now)) + Duration::from_micros(micros);
            if passes <= now {
                *due = passes;
                return;
            }
            thread::sleep(GLANCE.min(passes - now));
        }
        *due = Instant::now();
    }

    fn holds_up(&self, number: u64) -> bool {
        self.mode.load(Ordering::SeqCst) == STALL || number < self.stranded.load(Ordering::SeqCst)
    }

    fn cut(&self) {
        for stream in self.connections().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
