//! Addresses in settings: single ones, and whole networks as `192.168.1.0/24`. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network, or with all bits a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadNetwork(String);

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remedy = "write 192.168.1.7, 192.168.1.0/24 or fd00::/64, separated by commas";
        write!(f, "`{}` is no IP address and no network; {remedy}", self.0)
    }
}

impl Network {
    /// Whether the address is in it. One that came over IPv6 as a mapped IPv4 address counts as that.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, own) = number(self.address);
        let (theirs, other) = number(address.to_canonical());
        let rest = own - u32::from(self.bits);
        own == other && ours.checked_shr(rest).unwrap_or(0) == theirs.checked_shr(rest).unwrap_or(0)
    }
}

/// The address as a number, and how many bits that has.
fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(four) => (u32::from(four).into(), 32),
        IpAddr::V6(six) => (six.into(), 128),
    }
}

impl FromStr for Network {
    type Err = BadNetwork;
    fn from_str(text: &str) -> Result<Network, BadNetwork> {
        let bad = || BadNetwork(text.into());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let (_, most) = number(address);
        let bits = bits.map_or(Ok(most as u8), str::parse).map_err(|_| bad())?;
        if u32::from(bits) > most { Err(bad()) } else { Ok(Network { address, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_what_begins_with_its_bits() {
        assert!(is_in("192.168.1.0/24", "192.168.1.255") && !is_in("192.168.1.0/24", "192.168.2.1"));
        assert!(is_in("10.0.0.9", "10.0.0.9") && !is_in("10.0.0.9", "10.0.0.8"));
        assert!(is_in("0.0.0.0/0", "8.8.8.8") && !is_in("0.0.0.0/0", "fd00::1"));
        assert!(is_in("::/0", "fd00::1") && is_in("fd00::/64", "fd00::7") && !is_in("fd00::/64", "fd00:0:0:1::7"));
        assert!(is_in("192.168.1.0/24", "::ffff:192.168.1.7"), "IPv4 over an IPv6 socket");
    }

    #[test]
    fn what_is_no_network_names_itself_and_the_remedy() {
        for text in ["kitchen", "10.0.0.1/33", "fd00::/129", "10.0.0.0/", "", "10.0.0.0/-1"] {
            let why = text.parse::<Network>().unwrap_err().to_string();
            assert!(why.contains(&format!("`{text}`")) && why.contains("192.168.1.0/24"), "{why}");
        }
    }
}
