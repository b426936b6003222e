//! Thousands of clients on one thread and one epoll: the same program in front of every server, so that what it costs
//! is the same for all of them.

use super::ground::wait;
use super::sealed::Keys;
use super::talk::{Dialect, News, Talk};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many links are made before the server must have answered them: less than any listening queue here.
const WAVE: usize = 256;
/// Clients from one source address.
const PER_ADDRESS: usize = 4096;
/// A wave of handshakes is as large as what a server takes in a second.
const HANDSHAKES: Duration = Duration::from_secs(1);
/// How long a wave may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Below so many missing clients every word is read at once.
const MANY: usize = 64;
/// How long words gather while more are missing; it adds nothing to the time of the last one.
const GATHER: Duration = Duration::from_micros(250);

/// One client.
struct Client {
    stream: TcpStream,
    talk: Talk,
    ready: bool,
    told: bool,
    beat: Option<Instant>,
}

/// What all clients together have seen.
#[derive(Debug, Default)]
pub struct Tally {
    /// The server knows so many.
    pub ready: usize,
    /// So many have heard that it goes.
    pub told: usize,
    /// When the last of them heard.
    pub last_told: Option<Instant>,
    /// When the kernel had the last of it from the network; only if that is stamped.
    pub last_arrived: Option<SystemTime>,
    /// The server ended so many links.
    pub ended: usize,
    /// The distances between two beats of one client.
    pub beats: Vec<Duration>,
}

/// The clients.
pub struct Load {
    epoll: Epoll,
    clients: Vec<Client>,
    tally: Tally,
    buffer: Vec<u8>,
    answer: Vec<u8>,
    keys: Option<Rc<Keys>>,
    /// Room for the stamp of one read.
    stamp: Option<Vec<u8>>,
}

impl Load {
    /// No clients yet.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let (clients, tally, answer) = Default::default();
        Ok(Self { epoll, clients, tally, buffer: vec![0; 4096], answer, keys: None, stamp: None })
    }

    /// No clients yet; for each the kernel stamps when something has arrived, however long this thread is busy with others.
    pub fn stamped() -> io::Result<Self> {
        Ok(Self { stamp: Some(nix::cmsg_space!(TimeSpec)), ..Load::new()? })
    }

    /// No clients yet, and each that will come is paired.
    pub fn paired(keys: Rc<Keys>) -> io::Result<Self> {
        Ok(Self { keys: Some(keys), ..Load::new()? })
    }

    /// What has been seen so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Distances between beats count from now on.
    pub fn forget_beats(&mut self) {
        self.tally.beats.clear();
        self.clients.iter_mut().for_each(|client| client.beat = None);
    }

    /// Nobody was told yet.
    pub fn forget_told(&mut self) {
        (self.tally.told, self.tally.last_told, self.tally.last_arrived) = Default::default();
        self.clients.iter_mut().for_each(|client| client.told = false);
    }

    /// Connects so many, a wave at a time; `settled` answers how many of them the server knows.
    pub fn connect(
        &mut self,
        count: usize,
        dialect: Dialect,
        to: SocketAddr,
        settled: impl Fn(&Tally) -> io::Result<usize>,
    ) -> io::Result<()> {
        while self.clients.len() < count {
            let wave = WAVE.min(count - self.clients.len());
            for _ in 0..wave {
                self.add(dialect, to)?;
            }
            let (here, began) = (self.clients.len(), Instant::now());
            let end = began + PATIENCE;
            while settled(&self.tally)? < here {
                if Instant::now() > end {
                    return Err(wait::late(&format!("{here} clients of {to}"), PATIENCE));
                }
                self.turn(Duration::from_millis(2))?;
            }
            if self.keys.is_some() && here < count {
                self.run(HANDSHAKES.saturating_sub(began.elapsed()), |_| false)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, dialect: Dialect, to: SocketAddr) -> io::Result<()> {
        let number = self.clients.len();
        let from = if self.keys.is_some() { own_source(number) } else { source(number) };
        let mut stream = connect(from, to)?;
        let (talk, opening) = Talk::open(dialect, number, self.keys.as_ref());
        stream.write_all(&opening)?;
        if self.stamp.is_some() {
            setsockopt(&stream, sockopt::ReceiveTimestampns, &true)?;
        }
        self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        self.clients.push(Client { stream, talk, ready: false, told: false, beat: None });
        Ok(())
    }

    /// Listens until `done` or until the time is over; whether it was done.
    pub fn run(&mut self, limit: Duration, done: impl Fn(&Tally) -> bool) -> io::Result<bool> {
        let end = Instant::now() + limit;
        while !done(&self.tally) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.turn(left)?;
        }
        Ok(true)
    }

    /// Listens until so many were told or until the time is over; whether they all were. While many are missing the
    /// sockets are looked at a few thousand times a second, as a network card gathers packets: a generator that slept
    /// and was woken for each client would charge that to the server.
    pub fn run_until_told(&mut self, clients: usize, limit: Duration) -> io::Result<bool> {
        let end = Instant::now() + limit;
        while self.tally.told + MANY < clients && Instant::now() < end {
            self.turn(limit)?;
            std::thread::sleep(GATHER);
        }
        self.run(end.saturating_duration_since(Instant::now()), |tally| tally.told == clients)
    }

    /// One look at all sockets.
    fn turn(&mut self, limit: Duration) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); 512];
        let limit = EpollTimeout::try_from(limit.max(Duration::from_millis(1))).unwrap_or(EpollTimeout::MAX);
        let count = match self.epoll.wait(&mut events, limit) {
            Err(nix::errno::Errno::EINTR) => 0,
            count => count?,
        };
        for event in &events[..count] {
            self.read(event.data() as usize)?;
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> io::Result<()> {
        let client = &mut self.clients[number];
        let (bytes, arrived) = match receive(&mut client.stream, &mut self.buffer, self.stamp.as_mut()) {
            Ok((0, _)) => return self.ended(number),
            Ok((count, arrived)) => (&self.buffer[..count], arrived),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return self.ended(number),
        };
        let Client { talk, ready, told, beat, .. } = client;
        let (tally, now) = (&mut self.tally, (Instant::now(), arrived));
        let before = tally.told;
        self.answer.clear();
        let heard = talk.hear(bytes, &mut self.answer, |news| tally.note(news, now, ready, told, beat));
        heard.map_err(io::Error::other)?;
        // What came before the kernel began to stamp is of no interest.
        if self.stamp.is_some() && arrived.is_none() && self.tally.told > before {
            return Err(io::Error::other("the kernel does not say when it had what a client was told"));
        }
        if !self.answer.is_empty() {
            client.stream.write_all(&self.answer)?;
        }
        Ok(())
    }

    fn ended(&mut self, number: usize) -> io::Result<()> {
        self.tally.ended += 1;
        Ok(self.epoll.delete(&self.clients[number].stream)?)
    }
}

impl Tally {
    fn note(
        &mut self,
        news: News,
        (now, arrived): (Instant, Option<SystemTime>),
        ready: &mut bool,
        told: &mut bool,
        beat: &mut Option<Instant>,
    ) {
        match news {
            News::Ready if !*ready => {
                *ready = true;
                self.ready += 1;
            }
            News::Told if !*told => {
                *told = true;
                self.told += 1;
                self.last_told = Some(now);
                self.last_arrived = self.last_arrived.max(arrived);
            }
            News::Beat => self.beats.extend(beat.replace(now).map(|last| now - last)),
            News::Ready | News::Told => {}
        }
    }
}

/// One read: so many bytes, and when they had arrived if that is stamped.
fn receive(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    stamp: Option<&mut Vec<u8>>,
) -> io::Result<(usize, Option<SystemTime>)> {
    let Some(stamp) = stamp else { return Ok((stream.read(buffer)?, None)) };
    let mut space = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut space, Some(stamp), MsgFlags::empty())?;
    let arrived = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(UNIX_EPOCH + Duration::from(time)),
        _ => None,
    });
    Ok((message.bytes, arrived))
}

/// Few ports are left on one address for 10,000 clients, so they come from several of the loopback's.
fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(2 + number / PER_ADDRESS).unwrap_or(u8::MAX))
}

/// Handshakes have a pace for each address, and a machine has one of its own.
fn own_source(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + u32::try_from(number).unwrap_or(u32::MAX >> 16))
}

fn connect(from: Ipv4Addr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_tcp_nodelay(true)?;
    // The port is chosen by connect: bind alone searches for one that nobody has at all, milliseconds a client.
    setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
    socket.bind(&SockAddr::from(SocketAddr::from((from, 0))))?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
