//! Writing to a crowd, to slow peers, and on sealed links.

use super::*;
use bus::secure::{Authorized, Hellos, Initiator, Responder, Sealed, SecretKey};
use protocol::{Epoch, HostName, frame};
use tokio::sync::mpsc;

const SHUTDOWN: &[u8] = b"shutdown\n";

async fn crowd(peers: &mut Peers) -> Vec<UnixStream> {
    runner::limits::raise_open_files();
    let mut ends = Vec::new();
    for number in 0..WORTH_A_THREAD as u64 + 1 {
        let (near, far) = UnixStream::pair().unwrap();
        near.writable().await.unwrap();
        peers.add(PeerId(number), Stream::Unix(near), Duration::from_secs(9));
        ends.push(far);
    }
    ends
}

async fn heard(end: &UnixStream) -> Vec<u8> {
    let mut buffer = [0; 64];
    end.readable().await.unwrap();
    let length = end.try_read(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[tokio::test]
async fn a_crowd_is_told_once_each_and_a_slow_peer_in_its_order() {
    let (events, _loop) = mpsc::channel(8);
    let mut peers = Peers::new(events);
    let mut ends = crowd(&mut peers).await;
    let all: Vec<PeerId> = (0..ends.len() as u64).map(PeerId).collect();
    let slow = PeerId(7);
    while peers.links[&slow].unsent.is_empty() {
        assert!(peers.send(slow, &[b'.'; 4096]).is_none());
    }
    let waiting = peers.links[&slow].unsent.len();

    assert!(peers.send_all(&all, SHUTDOWN).is_empty());

    let unsent = &peers.links[&slow].unsent;
    assert!(unsent.len() == waiting + SHUTDOWN.len() && unsent.ends_with(SHUTDOWN), "{} bytes", unsent.len());
    ends.remove(7);
    for end in &ends {
        assert_eq!(heard(end).await, SHUTDOWN);
    }
}

#[tokio::test]
async fn in_a_crowd_a_broken_link_is_told_and_delays_nobody() {
    let (events, _loop) = mpsc::channel(8);
    let mut peers = Peers::new(events);
    let mut ends = crowd(&mut peers).await;
    let all: Vec<PeerId> = (0..ends.len() as u64).map(PeerId).collect();
    drop(ends.remove(7));

    let ended = peers.send_all(&all, SHUTDOWN);

    assert!(matches!(&ended[..], [Input::Ended(PeerId(7), Some(_))]), "{ended:?}");
    for end in &ends {
        assert_eq!(heard(end).await, SHUTDOWN);
    }
}

/// Both ends of a link after its handshake: the server's, the client's.
fn sealed() -> (Sealed, Sealed) {
    let hellos = Hellos {
        client: HostName::parse("kitchen").unwrap(),
        server: HostName::parse("attic").unwrap(),
        epoch: Epoch(7),
    };
    let (server, client) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    let (list, _) = Authorized::parse("list", &format!("kitchen {} follow", client.public()));
    let (initiator, first) = Initiator::new(&client, server.public(), &hellos).unwrap();
    let (responder, answer) = Responder::answer(&server, &hellos, &first).unwrap();
    let (last, near) = initiator.receive(&answer).unwrap();
    (responder.finish(&last, &list).unwrap().sealed, near)
}

#[tokio::test]
async fn what_waits_for_a_slow_peer_on_a_sealed_link_is_sealed_once_and_in_its_order() {
    let (events, mut event) = mpsc::channel(64);
    let mut peers = Peers::new(events);
    let (near, far) = UnixStream::pair().unwrap();
    near.writable().await.unwrap();
    let slow = PeerId(1);
    peers.add(slow, Stream::Unix(near), Duration::from_secs(9));
    let (server, mut client) = sealed();
    peers.seal(slow, server.sealer);
    let mut said = 0_u32;
    while peers.links[&slow].unsent.len() < 8192 {
        said += 1;
        assert!(peers.send(slow, &said.to_be_bytes()).is_none());
    }
    peers.half_close(slow);
    assert!(peers.send(slow, b"too late").is_none());

    let (mut heard, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while client.opener.finish().is_err() {
        tokio::select! {
            Some(Event::Writable(peer)) = event.recv() => assert!(peers.writable(peer).is_none()),
            () = async { far.readable().await.unwrap() } => match far.try_read(&mut buffer) {
                Ok(count) => client.opener.receive(&buffer[..count], |plain| heard.extend_from_slice(plain)).unwrap(),
                Err(why) => assert_eq!(why.kind(), io::ErrorKind::WouldBlock),
            },
        }
    }
    let all: Vec<u8> = (1..=said).flat_map(u32::to_be_bytes).collect();
    assert!(heard == all, "{} of {} bytes", heard.len(), all.len());
}

/// Two lines of a handshake and what is sealed behind it, all in one read.
#[tokio::test]
async fn bytes_behind_a_handshake_are_opened_with_what_the_loop_says() {
    let (events, mut event) = mpsc::channel(64);
    let mut peers = Peers::new(events);
    let (near, far) = UnixStream::pair().unwrap();
    peers.add(PeerId(1), Stream::Unix(near), Duration::from_secs(9));
    let (server, mut client) = sealed();
    let mut bytes = b"wait pistop/2 kitchen\n".to_vec();
    for step in [1, 3] {
        bytes.extend(frame::encode(&Message::Handshake(vec![step])));
    }
    client.sealer.seal(&frame::encode(&Message::Text("sealed".into())), &mut bytes);
    far.writable().await.unwrap();
    assert_eq!(far.try_write(&bytes).unwrap(), bytes.len());
    drop(far);
    let (mut openers, mut heard) = (vec![None, Some(Box::new(server.opener))].into_iter(), Vec::new());
    let why = loop {
        match event.recv().await.unwrap() {
            Event::Handshake(Input::Heard(_, thing), answer) => {
                heard.push(thing);
                answer.send(openers.next().unwrap()).unwrap();
            }
            Event::Input(Input::Heard(_, thing)) => heard.push(thing),
            Event::Input(Input::Ended(_, why)) => break why,
            other => panic!("{other:?}"),
        }
    };
    let hello = ClientLine::Hello(HostName::parse("kitchen").unwrap());
    let messages = [Message::Handshake(vec![1]), Message::Handshake(vec![3]), Message::Text("sealed".into())];
    let all: Vec<_> = [Heard::Line(hello)].into_iter().chain(messages.map(Heard::Message)).collect();
    assert_eq!(heard, all);
    assert!(why.unwrap().contains("cut off"), "an end that the client has not sealed");
}

#[tokio::test]
async fn a_crowd_that_is_turned_away_is_not_waited_for() {
    let (events, _loop) = mpsc::channel(8);
    let mut peers = Peers::new(events);
    let _ends = crowd(&mut peers).await;
    let all: Vec<PeerId> = (0..WORTH_A_THREAD as u64).map(PeerId).collect();
    all.iter().for_each(|&peer| peers.turn_away(peer));
    assert_eq!(peers.links.len(), MOST_AWAY + 1);
    all.iter().for_each(|&peer| peers.close(peer));
    assert_eq!((peers.links.len(), peers.away), (1, 0));
}

#[tokio::test]
async fn what_waits_for_each_peer_is_small() {
    let (near, _far) = UnixStream::pair().unwrap();
    let stream = Arc::new(Stream::Unix(near));
    let waits = Reader { peer: PeerId(1), stream, events: mpsc::channel(1).0, ear: Ear::default() }.run();
    assert!(size_of_val(&waits) <= 128, "{} bytes", size_of_val(&waits));
}
