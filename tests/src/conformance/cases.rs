//! The list.

pub mod apart;
mod expiry;
mod filters;
mod load;
mod machines;
mod order;
mod payloads;
mod refusals;
mod sessions;
mod states;

use super::Case;
use super::engine::Heard;

/// All of it.
pub fn all() -> Vec<Case> {
    let groups = [
        filters::cases(),
        order::cases(),
        states::cases(),
        sessions::cases(),
        expiry::cases(),
        payloads::cases(),
        refusals::cases(),
        load::cases(),
        machines::cases(),
    ];
    groups.into_iter().flatten().collect()
}

/// The number that a payload is.
fn number(heard: &Heard) -> u64 {
    String::from_utf8_lossy(&heard.payload).trim().parse().unwrap_or_else(|_| panic!("{heard:?} is no number"))
}

/// What can be said about many messages whose payloads are numbers: how many, and from where to where, if each is one
/// more than the one before; otherwise where that ends.
fn run(heard: &[Heard]) -> String {
    let numbers: Vec<u64> = heard.iter().map(number).collect();
    match (numbers.windows(2).find(|pair| pair[1] != pair[0] + 1), numbers.first(), numbers.last()) {
        (Some(pair), ..) => format!("{} come after {}", pair[1], pair[0]),
        (None, Some(first), Some(last)) => format!("{} from {first} to {last}", numbers.len()),
        _ => "none".into(),
    }
}
