//! A paired client of the load generator: it shakes hands, and whatever it says and hears after that is sealed.

use super::talk::{self, News};
use bus::secure::{Initiator, KeyFile, Opener, PublicKey, Sealed, Sealer, SecretKey, handshake::Hellos};
use protocol::line::ServerLine;
use protocol::session::{Heard, Session};
use protocol::{HostName, Message, frame};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What the cipher of one link takes at the server, in bytes: both directions.
pub const CIPHER: usize = size_of::<Sealer>() + size_of::<Opener>();

/// The keys of a server and of its paired clients.
pub struct Keys {
    server: PublicKey,
    clients: Vec<SecretKey>,
    /// The server's list of them.
    pub list: PathBuf,
}

impl Keys {
    /// Pairs so many clients with a server that is not started yet and has this folder.
    pub fn pair(clients: usize, folder: &Path) -> io::Result<Rc<Keys>> {
        let state = folder.join("state");
        fs::create_dir_all(&state)?;
        let server = KeyFile::within(&state).load_or_make().map_err(io::Error::other)?.public();
        let clients = (0..clients).map(|_| SecretKey::generate()).collect::<io::Result<Vec<_>>>()?;
        let line =
            |(number, key): (usize, &SecretKey)| format!("{} {} follow publish:*\n", talk::name(number), key.public());
        let list = folder.join("authorized_peers");
        fs::write(&list, clients.iter().enumerate().map(line).collect::<String>())?;
        Ok(Rc::new(Keys { server, clients, list }))
    }
}

/// One client's end of its link.
pub struct Link {
    keys: Rc<Keys>,
    number: usize,
    session: Session<ServerLine>,
    stage: Stage,
    bus: bool,
}

enum Stage {
    Plain,
    Shaking(Box<Initiator>),
    Sealed(Box<Sealed>),
}

impl Link {
    /// The client of this number, one of those that were paired.
    pub fn new(keys: Rc<Keys>, number: usize, bus: bool) -> Link {
        Link { keys, number, session: Session::default(), stage: Stage::Plain, bus }
    }

    /// Takes what one read gave; what is to be answered goes to `answer`.
    pub fn hear(&mut self, mut bytes: &[u8], answer: &mut Vec<u8>, on: impl FnMut(News)) -> Result<(), String> {
        while !bytes.is_empty() {
            if let Stage::Sealed(sealed) = &mut self.stage {
                return hear_sealed(&mut self.session, sealed, bytes, answer, on);
            }
            if let Some(heard) = self.session.next(&mut bytes).map_err(|broken| broken.to_string())? {
                self.shake(heard, answer).map_err(|why| format!("client {}: {why}", self.number))?;
            }
        }
        Ok(())
    }

    fn shake(&mut self, heard: Heard<ServerLine>, answer: &mut Vec<u8>) -> Result<(), String> {
        let name = talk::name(self.number);
        match (heard, std::mem::replace(&mut self.stage, Stage::Plain)) {
            (Heard::Line(ServerLine::Hello { server, epoch }), Stage::Plain) => {
                let hellos = Hellos { client: name, server, epoch };
                let begun = Initiator::new(&self.keys.clients[self.number], self.keys.server, &hellos);
                let (initiator, first) = begun.map_err(|why| why.to_string())?;
                answer.extend(frame::encode(&Message::Handshake(first)));
                self.stage = Stage::Shaking(Box::new(initiator));
            }
            (Heard::Message(Message::Handshake(bytes)), Stage::Shaking(initiator)) => {
                let (last, mut sealed) = initiator.receive(&bytes).map_err(|why| why.to_string())?;
                answer.extend(frame::encode(&Message::Handshake(last)));
                sealed.sealer.seal(&talk::introduction(&name, self.wishes(&name)), answer);
                self.stage = Stage::Sealed(Box::new(sealed));
            }
            (Heard::Message(Message::Refused(why)), _) => return Err(why),
            (_, stage) => self.stage = stage,
        }
        Ok(())
    }

    /// What fclient asks for beside what its programs and hooks want: commands to its machine, and answers.
    fn wishes(&self, name: &HostName) -> Option<Vec<String>> {
        self.bus.then(|| vec![talk::EVENT.into(), format!("{name}/req/#"), format!("{name}/res/#")])
    }
}

fn hear_sealed(
    session: &mut Session<ServerLine>,
    Sealed { sealer, opener }: &mut Sealed,
    bytes: &[u8],
    answer: &mut Vec<u8>,
    mut on: impl FnMut(News),
) -> Result<(), String> {
    let (mut plain, mut heard) = (Vec::new(), Vec::new());
    opener.receive(bytes, |part| plain.extend_from_slice(part)).map_err(|why| why.to_string())?;
    session.receive(&plain, |thing| heard.push(thing)).map_err(|why| why.to_string())?;
    plain.clear();
    heard.iter().for_each(|thing| talk::reply(thing, &mut plain, &mut on));
    sealer.seal(&plain, answer);
    Ok(())
}
