//! Who may be on a link, and what each may do: the file `authorized_peers`, one peer a line,
//!
//! ```text
//! # name   public key                                            roles
//! kitchen  5v3q0e...                                             follow publish:camera
//! ```
//!
//! A line that is wrong is named with its remedy and does not count; the others do. If two lines have one name or one
//! key, none of them counts until one is deleted: the one that was meant to be taken away may be either.

pub mod file;
mod roles;

pub use roles::{BadRole, Roles};

use super::key::PublicKey;
use protocol::HostName;
use protocol::name::printable;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its host name, as in its hello.
    pub name: HostName,
    /// Its key.
    pub key: PublicKey,
    /// What it may do.
    pub roles: Roles,
}

impl fmt::Display for Peer {
    /// The line, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.key, self.roles)
    }
}

/// What is wrong with a line, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and the remedy.
    pub why: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

/// All who may be on a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorized(HashMap<PublicKey, Arc<Peer>>);

impl Authorized {
    /// Reads the text of a file; `file` is its name for the complaints, which come in the order of the lines.
    pub fn parse(file: &str, text: &str) -> (Authorized, Vec<Complaint>) {
        let (mut peers, mut complaints) = (Vec::new(), Vec::new());
        let mut complain = |line, why| complaints.push(Complaint { file: file.to_owned(), line, why });
        for (line, text) in (1..).zip(text.lines()) {
            match words(text).map(parse_line) {
                Some(Ok(peer)) => peers.push((line, peer)),
                Some(Err(why)) => complain(line, why),
                None => {}
            }
        }
        let twice = twice(&peers);
        twice.iter().for_each(|(line, why)| complain(*line, why.clone()));
        complaints.sort_by_key(|complaint| complaint.line);
        let doubtful: BTreeSet<usize> = twice.into_iter().map(|(line, _)| line).collect();
        peers.retain(|(line, _)| !doubtful.contains(line));
        (Authorized(peers.into_iter().map(|(_, peer)| (peer.key, peer.into())).collect()), complaints)
    }

    /// Whose key this is. The links of those who are here share it with the list.
    pub fn peer(&self, key: &PublicKey) -> Option<&Arc<Peer>> {
        self.0.get(key)
    }

    /// All, in no order.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.0.values().map(|peer| &**peer)
    }
}

/// The words of a line; `None` if it says nothing.
fn words(line: &str) -> Option<Vec<&str>> {
    let said = line.split_once('#').map_or(line, |(said, _)| said);
    let words: Vec<&str> = said.split_whitespace().collect();
    (!words.is_empty()).then_some(words)
}

fn parse_line(words: Vec<&str>) -> Result<Peer, String> {
    let [name, key, roles @ ..] = &words[..] else {
        return Err(format!("`{}` stands alone; a line is NAME PUBLICKEY ROLE...", printable(words[0].as_bytes())));
    };
    let name = HostName::parse(name).map_err(|why| why.to_string())?;
    let key = key.parse().map_err(|why| format!("the key of {name}: {why}"))?;
    let roles = Roles::parse(roles).map_err(|why| format!("{name}: {why}"))?;
    Ok(Peer { name, key, roles })
}

/// Each line that has a name or a key of another line, with what is to be said of it.
fn twice(peers: &[(usize, Peer)]) -> Vec<(usize, String)> {
    let mut names: HashMap<&HostName, Vec<usize>> = HashMap::new();
    let mut keys: HashMap<&PublicKey, Vec<usize>> = HashMap::new();
    for (line, peer) in peers {
        names.entry(&peer.name).or_default().push(*line);
        keys.entry(&peer.key).or_default().push(*line);
    }
    let of_name = peers.iter().filter_map(|(line, peer)| shared(*line, &names[&peer.name], || peer.name.to_string()));
    let of_key = peers
        .iter()
        .filter(|(_, peer)| names[&peer.name].len() == 1)
        .filter_map(|(line, peer)| shared(*line, &keys[&peer.key], || format!("the key of {}", peer.name)));
    of_name.chain(of_key).collect()
}

fn shared(line: usize, lines: &[usize], what: impl Fn() -> String) -> Option<(usize, String)> {
    let others: Vec<String> = lines.iter().filter(|&&other| other != line).map(usize::to_string).collect();
    let remedy = "none of them counts until all but one are deleted";
    (!others.is_empty()).then(|| (line, format!("{} stands in line {} as well; {remedy}", what(), others.join(", "))))
}
