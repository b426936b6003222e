//! Two kinds of UDP datagram beside the TCP link, in one line of text each.
//!
//! The announcement, by multicast, says that a server came up; a client that hears one tries its own configured
//! server at once, so a stranger's announcement costs one connection attempt and leads nowhere else. The probe asks a
//! server that has fallen silent on TCP whether it still runs, on a path that no TCP retransmission back-off holds
//! up. A probe is padded to be no shorter than its answer, so a forged sender address gains an attacker nothing.

use crate::line::DIALECT;
use crate::name::{Epoch, HostName, printable};

/// The multicast group of announcements, from the block for local use (RFC 2365), on the port of the service.
pub const GROUP: [u8; 4] = [239, 255, 55, 55];

/// No datagram of ours is longer, in bytes.
pub const MAX_DATAGRAM: usize = 160;

/// What a datagram says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datagram {
    /// A server has come up.
    Up {
        /// Its name.
        server: HostName,
        /// Which run of it.
        epoch: Epoch,
    },
    /// Are you still there?
    Probe {
        /// Chosen at random; only an answer that repeats it counts.
        nonce: u64,
    },
    /// The answer to a probe.
    Here {
        /// The nonce of the probe.
        nonce: u64,
        /// Which run of the server answers.
        epoch: Epoch,
    },
}

impl Datagram {
    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Datagram::Up { server, epoch } => format!("{DIALECT}2 up {server} {epoch}\n").into_bytes(),
            Datagram::Probe { nonce } => format!("{DIALECT}2 probe {nonce:016x} {:-<24}\n", "").into_bytes(),
            Datagram::Here { nonce, epoch } => format!("{DIALECT}2 here {nonce:016x} {epoch}\n").into_bytes(),
        }
    }

    /// Reads a datagram; anything that is none of ours is `None`.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_suffix(b"\n").filter(|b| b.len() < MAX_DATAGRAM)?;
        let text = printable(bytes);
        let words: Vec<&str> = text.strip_prefix(DIALECT)?.split(' ').collect();
        match words[..] {
            ["2", "up", name, epoch] => {
                Some(Datagram::Up { server: HostName::parse(name).ok()?, epoch: Epoch(epoch.parse().ok()?) })
            }
            ["2", "probe", nonce, padding] if padding.len() >= 24 => Some(Datagram::Probe { nonce: hex(nonce)? }),
            ["2", "here", nonce, epoch] => {
                Some(Datagram::Here { nonce: hex(nonce)?, epoch: Epoch(epoch.parse().ok()?) })
            }
            _ => None,
        }
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_no_shorter_than_its_answer() {
        let probe = Datagram::Probe { nonce: 7 }.encode();
        let here = Datagram::Here { nonce: u64::MAX, epoch: Epoch(u64::MAX) }.encode();
        assert!(probe.len() >= here.len(), "{} < {}", probe.len(), here.len());
    }

    #[test]
    fn every_datagram_survives_the_trip() {
        let up = Datagram::Up { server: HostName::parse("attic").unwrap(), epoch: Epoch(9) };
        for datagram in [up, Datagram::Probe { nonce: 7 }, Datagram::Here { nonce: 7, epoch: Epoch(1) }] {
            assert_eq!(Datagram::decode(&datagram.encode()), Some(datagram));
        }
        assert_eq!(Datagram::decode(b"pistop/2 probe 7\n"), None);
    }
}
