//! What is shown, in the format that displays of old set-ups read: `LINE COLUMN FLAG:TEXT`, each ended by a line feed.

use crate::local_time::Zone;
use nix::ifaddrs::getifaddrs;
use runner::clock::unix_now;
use std::fs;
use std::net::IpAddr;

/// The lines for a word, or the text itself.
pub(super) fn of(what: &str) -> Vec<String> {
    let lines = match what {
        "load" => load(),
        "PowerOff" => vec![format!("3 0 0:{} Off", node())],
        "MusicOff" => vec![format!("3 0 0:{} Music Off", node())],
        text => vec![text.to_owned()],
    };
    lines.into_iter().map(|line| line + "\n").collect()
}

/// A notice for a desktop. A line feed within would begin another field.
pub(super) fn notice(summary: &str, body: &str) -> String {
    let plain = |text: &str| text.replace(['\n', '\r'], " ");
    format!("summary:{}\nbody:{}\n", plain(summary), plain(body))
}

fn load() -> Vec<String> {
    let addresses: Vec<String> = addresses().iter().map(IpAddr::to_string).collect();
    vec![
        format!("0 0 3:Load {}", averages(&fs::read_to_string("/proc/loadavg").unwrap_or_default())),
        format!("1 0 0:{}", addresses.join(" ")),
        format!("2 0 0:{}", Zone::local().short(unix_now())),
        format!("3 0 0:{} On", node()),
    ]
}

/// Over one, five and fifteen minutes.
fn averages(loadavg: &str) -> String {
    loadavg.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn node() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Those by which others reach this machine, IPv4 first.
fn addresses() -> Vec<IpAddr> {
    let all = getifaddrs().into_iter().flatten().filter_map(|interface| interface.address);
    let ips = all.filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|socket| IpAddr::V4(socket.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|socket| IpAddr::V6(socket.ip())))
    });
    let mut reached: Vec<IpAddr> = ips.filter(is_reached).collect();
    reached.sort();
    reached.dedup();
    reached
}

fn is_reached(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_words_are_known_and_all_else_goes_as_it_is() {
        let node = node();
        assert_eq!(of("PowerOff"), [format!("3 0 0:{node} Off\n")]);
        assert_eq!(of("MusicOff"), [format!("3 0 0:{node} Music Off\n")]);
        assert_eq!(of("2 4 0:a  b"), ["2 4 0:a  b\n"]);
        let load = of("load");
        let starts = ["0 0 3:Load ", "1 0 0:", "2 0 0:", "3 0 0:"];
        assert_eq!(load.len(), 4);
        assert!(load.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{load:?}");
        assert_eq!(load[3], format!("3 0 0:{node} On\n"));
    }

    #[test]
    fn averages_are_the_first_three() {
        assert_eq!(averages("0.52 0.58 0.59 1/389 27131\n"), "0.52 0.58 0.59");
    }

    #[test]
    fn a_notice_has_two_fields_whatever_is_in_it() {
        assert_eq!(notice("attic\nbody:x", "is off\r\n"), "summary:attic body:x\nbody:is off  \n");
    }

    #[test]
    fn only_addresses_that_lead_here_are_shown() {
        let all = ["127.0.0.1", "169.254.1.1", "192.168.1.7", "::1", "fe80::1", "fd00::7"].map(|a| a.parse().unwrap());
        let reached: Vec<String> = all.iter().filter(|a| is_reached(a)).map(IpAddr::to_string).collect();
        assert_eq!(reached, ["192.168.1.7", "fd00::7"]);
    }
}
