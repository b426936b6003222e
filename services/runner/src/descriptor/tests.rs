//! Each test hands out descriptors as `exec`, a UCSPI tool or another process would.

use super::*;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, IntoRawFd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A descriptor as it would be after `exec`: open, without the close-on-exec flag, and nobody's.
fn inherited(fd: impl AsFd) -> RawFd {
    nix::unistd::dup(fd).unwrap().into_raw_fd()
}

#[test]
fn only_what_was_inherited_is_adopted_and_only_once() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let number = inherited(&near);
    let owned = adopt(number).unwrap();
    let again = adopt(number).unwrap_err().to_string();
    assert!(again.contains("was not inherited"), "{again}");
    assert!(adopt(near.as_raw_fd()).is_err(), "our own socket has an owner");
    drop((near, owned));
    assert_eq!(far.read(&mut [0]).unwrap(), 0, "dropping the owner closes it");
}

#[test]
fn a_missing_descriptor_names_itself_and_what_should_provide_it() {
    let message = adopt(-1).unwrap_err().to_string();
    assert!(message.starts_with("descriptor -1 cannot exist"), "{message}");
    let message = adopt(1_000_000).unwrap_err().to_string();
    assert!(message.starts_with("descriptor 1000000 is not open; start this program under"), "{message}");
    assert!(provider(7).contains("tcpclient") && provider(1).contains("tcpserver"));
}

#[tokio::test]
async fn a_socket_carries_both_ways_and_is_half_closed() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut duplex = Duplex::new(near.try_clone().unwrap().into(), near.into()).unwrap();
    far.set_nonblocking(true).unwrap();
    let mut far = tokio::net::UnixStream::from_std(far).unwrap();

    duplex.write_all(b"wait\n").await.unwrap();
    duplex.shutdown().await.unwrap();
    let mut heard = String::new();
    far.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "wait\n");
    assert!(duplex.write_all(b"more").await.is_err());

    far.write_all(b"shutdown\n").await.unwrap();
    drop(far);
    heard.clear();
    duplex.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "shutdown\n", "what the other end still had to say");
}

#[tokio::test]
async fn two_pipes_are_a_link_too() {
    let ((our_read, their_write), (their_read, our_write)) =
        (nix::unistd::pipe().unwrap(), nix::unistd::pipe().unwrap());
    let mut near = Duplex::new(our_read, our_write).unwrap();
    let mut far = Duplex::new(their_read, their_write).unwrap();
    let long = vec![b'x'; 300_000];

    let talk = async {
        near.write_all(&long).await.unwrap();
        near.shutdown().await.unwrap();
        near.shutdown().await.unwrap();
        near.read_u8().await.unwrap()
    };
    let answer = async {
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        far.write_u8(7).await.unwrap();
        heard.len()
    };
    assert_eq!(tokio::join!(talk, answer), (7, long.len()));
}

#[tokio::test]
async fn a_plain_file_is_refused_with_a_reason() {
    let file = tempfile::tempfile().unwrap();
    let why = Duplex::new(file.try_clone().unwrap().into(), file.into()).unwrap_err().to_string();
    assert!(why.contains("is a plain file; a socket or a pipe is needed"), "{why}");
}

#[test]
fn descriptors_travel_with_their_payload() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"hello").unwrap();
    send_fds(&near, b"first", &[file.as_fd(), near.as_fd()]).unwrap();
    send_fds(&near, b"", &[]).unwrap();
    send_fds(&near, b"third", &[far.as_fd()]).unwrap();

    let (payload, mut fds) = receive_fds(&far).unwrap();
    assert_eq!((&payload[..], fds.len()), (&b"first"[..], 2));
    for fd in &fds {
        assert_eq!(fcntl(fd, FcntlArg::F_GETFD).unwrap(), FdFlag::FD_CLOEXEC.bits(), "no hook inherits it");
    }
    let (mut heard, mut copy) = (String::new(), std::fs::File::from(fds.remove(0)));
    copy.rewind().unwrap();
    copy.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
    let (payload, fds) = receive_fds(&far).unwrap();
    assert_eq!((payload.len(), fds.len()), (0, 0));
    let (payload, fds) = receive_fds(&far).unwrap();
    assert_eq!((&payload[..], fds.len()), (&b"third"[..], 1));
}

#[test]
fn a_long_payload_and_the_most_descriptors_arrive_whole() {
    let (near, far) = UnixStream::pair().unwrap();
    let payload = vec![7; MAX_BODY];
    let sender = {
        let payload = payload.clone();
        std::thread::spawn(move || send_fds(&near, &payload, &[near.as_fd(); MAX_DESCRIPTORS]))
    };
    let (heard, fds) = receive_fds(&far).unwrap();
    sender.join().unwrap().unwrap();
    assert_eq!((heard == payload, fds.len()), (true, MAX_DESCRIPTORS));
}

#[test]
fn too_much_is_refused_at_either_end() {
    let (near, far) = UnixStream::pair().unwrap();
    let why = send_fds(&near, b"x", &[near.as_fd(); MAX_DESCRIPTORS + 1]).unwrap_err().to_string();
    assert!(why.contains("251 descriptors in one message; the limit is 250"), "{why}");
    assert!(send_fds(&near, &vec![0; MAX_BODY + 1], &[]).is_err());

    let numbers = [near.as_raw_fd(); 252];
    let frame = encode_body(b"x");
    let rights = [ControlMessage::ScmRights(&numbers)];
    sendmsg::<UnixAddr>(near.as_raw_fd(), &[IoSlice::new(&frame)], &rights, MsgFlags::empty(), None).unwrap();
    let why = receive_fds(&far).unwrap_err().to_string();
    assert!(why.contains("252 descriptors"), "{why}");
}

#[test]
fn a_length_over_the_limit_and_an_early_end_are_errors() {
    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(&[0xff; 4]).unwrap();
    assert!(receive_fds(&far).unwrap_err().to_string().contains("over the limit"));
    near.write_all(&[0, 0]).unwrap();
    drop(near);
    assert_eq!(receive_fds(&far).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
