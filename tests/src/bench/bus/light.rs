//! One event now and then: how soon it is there. Beside ours and mosquitto's stands what the machine itself takes to
//! hand as many bytes from one thread to another and on to a third, with nothing done in between.

use super::{Flow, PAUSE, Pace, SIZE, age, body, broker, ours};
use crate::bench::Plan;
use crate::bench::ground::awake::Awake;
use crate::bench::ground::cleanup::Scratch;
use crate::bench::ground::table::Table;
use crate::bench::report::{Report, Sample, milliseconds};
use crate::bench::rivals::Setting;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What was promised for an event now and then.
const SOON: Duration = Duration::from_micros(200);
/// Nothing may ever wait so long: a Nagle that meets a delayed acknowledgement.
const STALL: Duration = Duration::from_millis(40);

/// Measures it.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    let awake = Awake::keep();
    let how = awake.as_ref().map_or("are left to sleep between", |_| "stay awake");
    println!("\nFrom publish to subscriber, volatile, one event each {}; processors {how}", milliseconds(PAUSE));
    let mut table = Table::new(&["form", "events", "p50", "p99", "worst"]);
    let pace = Pace { lasts: plan.flow, pause: Some(PAUSE), durable: false };
    let mut row = |what: &str, times: Vec<Duration>| -> io::Result<Sample> {
        let sample = Sample::new(times).ok_or_else(|| io::Error::other("no events"))?;
        let [p50, p99, worst] = [sample.median(), sample.percentile(99), sample.worst()].map(milliseconds);
        table.row([what.into(), sample.count().to_string(), p50, p99, worst]);
        Ok(sample)
    };
    row("this machine, two bare hand-overs", floor(plan.flow)?)?;
    let bare = row("fserver, bare sockets", ours::light(pace, scratch)?)?;
    row("fserver, with the library of our programs", ours::flow(pace, scratch)?.on_the_way)?;
    let theirs = match broker::flow(pace, Setting::Shipped, scratch) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            println!("  not measured: mosquitto: {why}");
            None
        }
        theirs => Some(row("mosquitto as shipped, bare sockets", theirs.map(|Flow { on_the_way, .. }| on_the_way)?)?),
    };
    table.print();
    report.at_most("one event now and then, publish to subscriber, p99", bare.percentile(99), SOON);
    report.at_most("the same, worst", bare.worst(), STALL);
    if let Some(theirs) = theirs {
        report.at_most("the same, p99 against mosquitto's", bare.percentile(99), theirs.percentile(99));
    }
    Ok(())
}

/// From one thread over a Unix socket to another, which sends the same on to a third.
fn floor(lasts: Duration) -> io::Result<Vec<Duration>> {
    let ((mut tell, mut take), (mut pass, mut hear)) = (UnixStream::pair()?, UnixStream::pair()?);
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; SIZE];
            while take.read_exact(&mut bytes).and_then(|()| pass.write_all(&bytes)).is_ok() {}
        });
        scope.spawn(move || {
            while began.elapsed() < lasts && tell.write_all(&body(began)).is_ok() {
                std::thread::sleep(PAUSE);
            }
        });
        let (mut times, mut bytes) = (Vec::new(), [0; SIZE]);
        while hear.read_exact(&mut bytes).is_ok() {
            times.extend(age(&bytes, began));
        }
        Ok(times)
    })
}
