//! A peer made of bytes: says what it is told to, and remembers all that it hears.

use super::World;
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{BUS, Hello, Prepare, Progress, Stage};
use protocol::name::Identity;
use protocol::session::{Heard, Session};
use protocol::{HostName, Message, frame};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A connection.
#[derive(Debug)]
pub struct Raw {
    world: World,
    stream: TcpStream,
    heard: Vec<u8>,
    session: Session<ServerLine>,
    messages: Vec<Message>,
    end: Option<End>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Cleanly.
    Closed,
    /// By a reset.
    Reset,
}

impl Raw {
    /// Connects.
    #[track_caller]
    pub fn connect(world: &World, address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|why| panic!("cannot connect to {address}: {why}"));
        Self::over(world, stream)
    }

    /// Connects from this address of our own.
    #[track_caller]
    pub fn connect_from(world: &World, from: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("TCP is there");
        socket.bind(&SocketAddr::new(from, 0).into()).expect("an address of this machine");
        socket.connect(&address.into()).unwrap_or_else(|why| panic!("cannot connect to {address}: {why}"));
        Self::over(world, socket.into())
    }

    /// Connects with the smallest window that the system allows, so that whoever does not read is soon full.
    #[track_caller]
    pub fn connect_narrow(world: &World, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("TCP is there");
        socket.set_recv_buffer_size(1).expect("a socket has buffers");
        socket.connect(&address.into()).unwrap_or_else(|why| panic!("cannot connect to {address}: {why}"));
        Self::over(world, socket.into())
    }

    /// Over a connection that is there.
    pub fn over(world: &World, stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a socket can be told not to wait");
        stream.set_nodelay(true).expect("TCP has this option");
        let (session, messages) = (Session::default(), Vec::new());
        Self { world: world.clone(), stream, heard: Vec::new(), session, messages, end: None }
    }

    /// Sends bytes; they must fit into the socket.
    #[track_caller]
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("a socket has room for a few bytes");
    }

    /// Sends as many bytes as the socket takes now.
    pub fn offer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// Sends a message as a frame.
    #[track_caller]
    pub fn tell(&mut self, message: &Message) {
        self.say(frame::encode(message));
    }

    /// Introduces itself as a new client, and waits until the server answers in frames.
    #[track_caller]
    pub fn introduce(&mut self, name: &str) {
        self.introduce_as(name, 1);
    }

    /// The same, as the machine with this identity.
    #[track_caller]
    pub fn introduce_as(&mut self, name: &str, machine: u64) {
        self.say(ClientLine::Hello(HostName::parse(name).expect("a host name")).encode());
        self.say(Self::hello_frame(name, machine));
        self.until("the server speaks frames", |raw| !raw.messages.is_empty());
    }

    /// The same, as a machine that carries events.
    #[track_caller]
    pub fn introduce_on_the_bus(&mut self, name: &str, machine: u64) {
        self.say(ClientLine::Hello(HostName::parse(name).expect("a host name")).encode());
        self.say(frame::encode(&Self::hello(name, machine, vec![BUS.into()])));
        self.until("the server speaks frames", |raw| !raw.messages.is_empty());
    }

    /// The first frame of a new client.
    pub fn hello_frame(name: &str, machine: u64) -> Vec<u8> {
        frame::encode(&Self::hello(name, machine, Vec::new()))
    }

    fn hello(name: &str, machine: u64, capabilities: Vec<String>) -> Message {
        Message::Hello(Hello {
            version: protocol::line::VERSION,
            name: HostName::parse(name).expect("a host name"),
            identity: Identity(machine),
            program: "raw".into(),
            capabilities,
        })
    }

    /// The shutdowns and restarts that were announced to it.
    pub fn prepares(&mut self) -> Vec<Prepare> {
        let prepares = self.messages().iter().filter_map(|message| match message {
            Message::Prepare(prepare) => Some(prepare.clone()),
            _ => None,
        });
        prepares.collect()
    }

    /// Waits until that many were announced; the last one.
    #[track_caller]
    pub fn until_prepared(&mut self, count: usize) -> Prepare {
        self.until(&format!("announcement {count} comes"), |raw| raw.prepares().len() >= count);
        self.prepares().pop().expect("one has just come")
    }

    /// Waits until a message of this kind came.
    #[track_caller]
    pub fn until_message(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) {
        self.until(&format!("a raw peer gets {what}"), |raw| raw.messages().iter().any(&wanted));
    }

    /// Reports how far it is with the last announcement.
    #[track_caller]
    pub fn report(&mut self, stage: Stage) {
        let id = self.prepares().pop().expect("something was announced").id;
        self.tell(&Message::Progress(Progress { id, stage, outcomes: Vec::new() }));
    }

    /// Answers every beat that came since the last call, so that the lease goes on.
    pub fn echo(&mut self) {
        self.listen();
        let number = self.messages.iter().rev().find_map(|message| match message {
            Message::Beat(beat) => Some(beat.number),
            _ => None,
        });
        if let Some(number) = number {
            let _ = self.stream.write_all(&frame::encode(&Message::Echo { number }));
        }
    }

    /// Reads what is there.
    pub fn listen(&mut self) {
        let mut buffer = [0; 16 * 1024];
        while self.end.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.end = Some(End::Closed),
                Ok(count) => {
                    self.heard.extend_from_slice(&buffer[..count]);
                    let messages = &mut self.messages;
                    let _ = self.session.receive(&buffer[..count], |heard| {
                        if let Heard::Message(message) = heard {
                            messages.push(message);
                        }
                    });
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.end = Some(End::Reset),
            }
        }
    }

    /// All bytes so far, as text.
    pub fn heard(&mut self) -> String {
        self.listen();
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// All messages so far.
    pub fn messages(&mut self) -> &[Message] {
        self.listen();
        &self.messages
    }

    /// How the connection ended, if it has.
    pub fn end(&mut self) -> Option<End> {
        self.listen();
        self.end
    }

    /// Waits until this text came.
    #[track_caller]
    pub fn until_heard(&mut self, text: &str) {
        self.until(&format!("the raw peer hears {text:?}"), |raw| raw.heard().contains(text));
    }

    /// Waits for the end.
    #[track_caller]
    pub fn until_end(&mut self) -> End {
        self.until("the raw peer sees the end of its link", |raw| raw.end().is_some());
        self.end.expect("it has just ended")
    }

    /// Waits until something is so for it.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Raw) -> bool) {
        let world = self.world.clone();
        world.until(what, || {
            self.listen();
            condition(self)
        });
    }

    /// Looks on for a while: the link must neither end nor bring this text.
    #[track_caller]
    pub fn stays_without(&mut self, span: Duration, text: &str) {
        let world = self.world.clone();
        world.throughout(span, &format!("no {text:?} and no end"), || {
            !self.heard().contains(text) && self.end.is_none()
        });
    }

    /// Says that nothing more follows.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}
