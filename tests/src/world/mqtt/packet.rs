//! The packets of MQTT 5 that a test says and hears, as bytes; `docs.oasis-open.org/mqtt/mqtt/v5.0`. Nothing is checked
//! on its way out: tests say things that a decent client refuses to say.

/// The longest packet that is believed.
const MAX: usize = 1 << 20;
const MESSAGE_EXPIRY: u8 = 0x02;
const SESSION_EXPIRY: u8 = 0x11;
const WILL_DELAY: u8 = 0x18;

/// What a broker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The answer to a connection: whether the session was there, and the reason code.
    Connected(bool, u8),
    /// A message.
    Message(Delivery),
    /// So numbered, what was published was taken, or not, as the reason code says.
    Published(u16, u8),
    /// So numbered, the subscription is made; the highest reason code of its filters.
    Subscribed(u16, u8),
    /// The answer to a ping.
    Pong,
    /// The broker ends the connection, for this reason.
    Goodbye(u8),
}

/// A message as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number until it is acknowledged; zero for one that needs no acknowledgement.
    pub id: u16,
    /// It was kept for whoever comes later.
    pub retained: bool,
    /// What it is about.
    pub topic: String,
    /// Seconds that it is still worth something.
    pub expiry: Option<u32>,
    /// What it says.
    pub payload: Vec<u8>,
}

/// How a client introduces itself.
#[derive(Debug, Clone, Default)]
pub struct Introduction {
    /// Its name; empty: the broker gives it one.
    pub client: String,
    /// It wants nothing of an earlier session.
    pub clean: bool,
    /// Seconds that its session outlives its connection.
    pub session: u32,
    /// Topic and payload of what is published, retained, once its connection ends without a goodbye.
    pub will: Option<(String, Vec<u8>)>,
}

/// The first packet.
pub fn connect(who: &Introduction) -> Vec<u8> {
    let will = if who.will.is_some() { 0b0010_1100 } else { 0 };
    let mut body = [&text(b"MQTT")[..], &[5, will | u8::from(who.clean) << 1, 0, 0]].concat();
    body.extend(properties(&[(SESSION_EXPIRY, who.session)]));
    body.extend(text(who.client.as_bytes()));
    if let Some((topic, payload)) = &who.will {
        body.extend(properties(&[(WILL_DELAY, 0)]));
        body.extend([text(topic.as_bytes()), text(payload)].concat());
    }
    packet(0x10, &body)
}

/// A message that is to be acknowledged (QoS 1).
pub fn publish(id: u16, topic: &[u8], payload: &[u8], retain: bool, expiry: Option<u32>) -> Vec<u8> {
    let expiry: Vec<(u8, u32)> = expiry.map(|seconds| (MESSAGE_EXPIRY, seconds)).into_iter().collect();
    let body = [&text(topic)[..], &id.to_be_bytes(), &properties(&expiry), payload].concat();
    packet(0x32 | u8::from(retain), &body)
}

/// A subscription, QoS 1, to all of these; `states`: what is retained comes first.
pub fn subscribe(id: u16, filters: &[&str], states: bool) -> Vec<u8> {
    let options = 1 | if states { 0 } else { 2 << 4 };
    let filters = filters.iter().flat_map(|filter| [&text(filter.as_bytes())[..], &[options]].concat());
    packet(0x82, &[&id.to_be_bytes()[..], &[0], &filters.collect::<Vec<u8>>()].concat())
}

/// So numbered, what arrived was taken.
pub fn acknowledge(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

/// Answered at once, after all that was asked before.
pub fn ping() -> Vec<u8> {
    packet(0xC0, &[])
}

/// The end of a connection; the session lasts so many seconds more.
pub fn goodbye(session: u32) -> Vec<u8> {
    packet(0xE0, &[&[0][..], &properties(&[(SESSION_EXPIRY, session)])].concat())
}

/// The first whole packet in these bytes, and how many it takes.
///
/// # Errors
/// It is none that a broker says.
pub fn take(bytes: &[u8]) -> Result<Option<(Packet, usize)>, String> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((length, digits)) = number(rest)? else { return Ok(None) };
    let Some(body) = rest.get(digits..digits + length) else { return Ok(None) };
    let packet = understood(kind, body).ok_or_else(|| format!("no MQTT packet: {kind:#x} {body:?}"))?;
    Ok(Some((packet, 1 + digits + length)))
}

fn understood(kind: u8, body: &[u8]) -> Option<Packet> {
    let code = |at: usize| body.get(at).copied().unwrap_or(0);
    let id = || Some(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
    match kind >> 4 {
        2 => Some(Packet::Connected(body.first()? & 1 == 1, code(1))),
        3 => delivery(kind, body).map(Packet::Message),
        4 => Some(Packet::Published(id()?, code(2))),
        9 => Some(Packet::Subscribed(id()?, after_properties(body.get(2..)?)?.1.iter().copied().max()?)),
        13 => Some(Packet::Pong),
        14 => Some(Packet::Goodbye(code(0))),
        _ => None,
    }
}

fn delivery(kind: u8, body: &[u8]) -> Option<Delivery> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (topic, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    let (id, rest) = match kind & 0b0110 {
        0 => (0, rest),
        _ => rest.split_first_chunk::<2>().map(|(id, rest)| (u16::from_be_bytes(*id), rest))?,
    };
    let (expiry, payload) = after_properties(rest)?;
    let topic = String::from_utf8(topic.into()).ok()?;
    Some(Delivery { id, retained: kind & 1 == 1, topic, expiry, payload: payload.into() })
}

/// The message expiry among some properties, and what follows them. mosquitto sends no other property with what these
/// tests publish.
fn after_properties(bytes: &[u8]) -> Option<(Option<u32>, &[u8])> {
    let (length, digits) = number(bytes).ok()??;
    let (properties, rest) = bytes.get(digits..)?.split_at_checked(length)?;
    let expiry = properties.split_first().filter(|(kind, _)| **kind == MESSAGE_EXPIRY);
    let seconds = expiry.and_then(|(_, value)| Some(u32::from_be_bytes(*value.first_chunk::<4>()?)));
    Some((seconds, rest))
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &digits(body.len()), body].concat()
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a test says no text of 64 KiB");
    [&length.to_be_bytes()[..], bytes].concat()
}

fn properties(all: &[(u8, u32)]) -> Vec<u8> {
    let body: Vec<u8> = all.iter().flat_map(|(kind, value)| [&[*kind][..], &value.to_be_bytes()].concat()).collect();
    [digits(body.len()), body].concat()
}

/// A number in digits of seven bits.
fn digits(mut number: usize) -> Vec<u8> {
    let mut digits = Vec::new();
    loop {
        let more = if number >= 128 { 0x80 } else { 0 };
        digits.push((number % 128) as u8 | more);
        number /= 128;
        if number == 0 {
            return digits;
        }
    }
}

/// The number at the start, and how many digits it took.
fn number(bytes: &[u8]) -> Result<Option<(usize, usize)>, String> {
    let mut number = 0;
    for (place, digit) in bytes.iter().take(4).enumerate() {
        number |= usize::from(digit & 0x7f) << (7 * place);
        if digit & 0x80 == 0 {
            return if number > MAX {
                Err(format!("a packet of {number} bytes"))
            } else {
                Ok(Some((number, place + 1)))
            };
        }
    }
    if bytes.len() >= 4 { Err("a length of more than four digits".into()) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_as_many_digits_as_it_needs() {
        for (length, expected) in [(0, 1), (127, 1), (128, 2), (16_384, 3)] {
            assert_eq!(number(&digits(length)), Ok(Some((length, expected))));
        }
        assert_eq!(number(&[0x80]), Ok(None));
        assert!(number(&[0xff; 5]).is_err());
    }

    #[test]
    fn what_is_published_is_understood() {
        let bytes = publish(7, b"attic/state", b"x", true, Some(30));
        let delivery =
            Delivery { id: 7, retained: true, topic: "attic/state".into(), expiry: Some(30), payload: b"x".into() };
        assert_eq!(take(&bytes), Ok(Some((Packet::Message(delivery), bytes.len()))));
        assert_eq!(take(&bytes[..bytes.len() - 1]), Ok(None));
    }
}
