//! One event now and then: how soon it is there, from the moment in which its bytes are handed to the publisher's socket
//! to that in which they are out of the subscriber's. What the two do before and after that is their own, and counts for
//! nobody. Beside ours and mosquitto's stands what the machine itself takes to hand as many bytes from one process to
//! another and on, with nothing done in between.

use super::{PAUSE, Pace, SILENCE, SIZE, broker, ours};
use crate::bench::Plan;
use crate::bench::ground::awake::Awake;
use crate::bench::ground::cleanup::{self, Scratch};
use crate::bench::ground::table::Table;
use crate::bench::report::{Report, Sample, milliseconds};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// What was promised for an event now and then.
const SOON: Duration = Duration::from_micros(200);
/// Nothing may ever wait so long: a Nagle that meets a delayed acknowledgement.
const STALL: Duration = Duration::from_millis(40);

/// So many times each form has its turn.
const ROUNDS: u32 = 4;

const OURS: &str = "fserver, bare sockets";
const THEIRS: &str = "mosquitto as shipped, bare sockets";

/// A publisher and a subscriber on bare sockets.
pub(super) struct Form<S> {
    pub(super) teller: S,
    pub(super) listener: S,
    /// The bytes of the next event.
    pub(super) event: Box<dyn FnMut() -> Vec<u8> + Send>,
    /// Takes what is whole off what was heard, and adds what has to be answered; how many events, or acknowledgements
    /// of events, there were.
    pub(super) hear: fn(&mut Vec<u8>, &mut Vec<u8>) -> io::Result<usize>,
}

/// Lets so many events go one way, one at a time; how long each was on it.
pub(super) type Turn<'a> = Box<dyn FnMut(usize) -> io::Result<Vec<Duration>> + 'a>;

impl<S: Read + Write + AsFd + Send + 'static> Form<S> {
    /// Turns of this form, as long as `keep` is kept.
    pub(super) fn turns(mut self, keep: impl Sized + 'static) -> Turn<'static> {
        Box::new(move |count| {
            let _keep = &keep;
            self.turn(count)
        })
    }

    fn turn(&mut self, count: usize) -> io::Result<Vec<Duration>> {
        let Form { teller, listener, event, hear } = self;
        let hear = *hear;
        std::thread::scope(|scope| {
            let telling = scope.spawn(move || {
                let (mut sent, mut acknowledged, mut heard) = (Vec::new(), 0, Vec::new());
                while sent.len() < count {
                    let bytes = event();
                    sent.push(Instant::now());
                    teller.write_all(&bytes)?;
                    while acknowledged < sent.len() {
                        read(teller, &mut heard)?;
                        acknowledged += hear(&mut heard, &mut Vec::new())?;
                    }
                    std::thread::sleep(PAUSE);
                }
                Ok::<_, io::Error>(sent)
            });
            let (mut came, mut heard, mut answer) = (Vec::new(), Vec::new(), Vec::new());
            while came.len() < count {
                let now = read(listener, &mut heard)?;
                came.extend(std::iter::repeat_n(now, hear(&mut heard, &mut answer)?));
                listener.write_all(&answer)?;
                answer.clear();
            }
            let sent = telling.join().map_err(|_| io::Error::other("the publisher panicked"))??;
            Ok(came.into_iter().zip(sent).map(|(came, sent)| came - sent).collect())
        })
    }
}

/// Measures it, each form by turns, so that what else happens on this machine meets all of them.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    let awake = Awake::keep();
    let how = awake.as_ref().map_or("are left to sleep between", |_| "stay awake");
    println!("\nFrom publish to subscriber, volatile, one event each {}; processors {how}", milliseconds(PAUSE));
    let pace = Pace { lasts: plan.flow / ROUNDS, pause: Some(PAUSE), durable: false };
    let count = pace.lasts.div_duration_f32(PAUSE) as usize;
    let mut turns: Vec<(&str, Turn<'_>)> = vec![
        ("a `cat` in place of a bus, bare sockets", floor()?),
        (OURS, ours::light(scratch)?),
        ("fserver, with the library of our programs", ours::library(pace, scratch)),
    ];
    match broker::light(scratch) {
        Err(why) if why.kind() == ErrorKind::NotFound => println!("  not measured: mosquitto: {why}"),
        theirs => turns.push((THEIRS, theirs?)),
    }
    let mut times: Vec<Vec<Duration>> = turns.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((_, turn), times) in turns.iter_mut().zip(&mut times) {
            times.extend(turn(count)?);
        }
    }
    let samples: Vec<_> = turns.iter().map(|turn| turn.0).zip(times.into_iter().filter_map(Sample::new)).collect();
    let mut table = Table::new(&["form", "events", "p50", "p99", "worst"]);
    for (what, sample) in &samples {
        let [p50, p99, worst] = [sample.median(), sample.percentile(99), sample.worst()].map(milliseconds);
        table.row([(*what).into(), sample.count().to_string(), p50, p99, worst]);
    }
    table.print();
    let of = |wanted| samples.iter().find(|(what, _)| *what == wanted).map(|(_, sample)| sample);
    let ours = of(OURS).ok_or_else(|| io::Error::other("no events"))?;
    report.at_most("one event now and then, publish to subscriber, p99", ours.percentile(99), SOON);
    report.at_most("the same, worst", ours.worst(), STALL);
    if let Some(theirs) = of(THEIRS) {
        report.at_most("the same, p99 against mosquitto's", ours.percentile(99), theirs.percentile(99));
    }
    Ok(())
}

/// Reads once, and says when that was. It waits in `poll`: who waits in `read` of a Unix socket is also woken when what
/// he wrote is taken, which costs whoever takes it two changes of processes.
fn read(from: &mut (impl Read + AsFd), heard: &mut Vec<u8>) -> io::Result<Instant> {
    let (mut bytes, limit) = ([0; 4096], PollTimeout::try_from(SILENCE).expect("a few seconds"));
    if poll(&mut [PollFd::new(from.as_fd(), PollFlags::POLLIN)], limit)? == 0 {
        return Err(ErrorKind::TimedOut.into());
    }
    let count = from.read(&mut bytes)?;
    let now = Instant::now();
    heard.extend_from_slice(&bytes[..count]);
    if count == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(now) }
}

/// One end of a pair of one-way sockets.
struct End {
    from: UnixStream,
    to: UnixStream,
}

impl Read for End {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.from.read(bytes)
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from.as_fd()
    }
}

/// Ends with its value.
struct Cat(Child);

impl Drop for Cat {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
        cleanup::gone(self.0.id() as i32);
    }
}

/// Over a Unix socket to a `cat`, and over another from it; the subscriber itself acknowledges.
fn floor() -> io::Result<Turn<'static>> {
    let ((to_cat, cat_in), (cat_out, from_cat)) = (UnixStream::pair()?, UnixStream::pair()?);
    let (to_teller, from_listener) = UnixStream::pair()?;
    let (input, output) = (OwnedFd::from(cat_in), OwnedFd::from(cat_out));
    let cat = Cat(cleanup::start(Command::new("cat").stdin(input).stdout(output))?);
    let hear = |heard: &mut Vec<u8>, answer: &mut Vec<u8>| {
        let events = heard.len() / SIZE;
        answer.extend(heard.drain(..events * SIZE));
        Ok(events)
    };
    let teller = End { from: from_listener, to: to_cat };
    let listener = End { from: from_cat, to: to_teller };
    Ok(Form { teller, listener, event: Box::new(|| vec![b'x'; SIZE]), hear }.turns(cat))
}
