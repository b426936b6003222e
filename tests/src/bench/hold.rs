//! A crowd that stays: 10,000 new clients, each with a beat a second to hear and to answer, for half a minute.

use super::Plan;
use super::ground::agents::Server;
use super::ground::cleanup::Scratch;
use super::ground::numbers::{cpu, pss};
use super::ground::table::Table;
use super::load::Load;
use super::report::{Report, Sample, milliseconds};
use super::talk::Dialect;
use std::io;
use std::time::{Duration, Instant};

/// What fserver promises its clients.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// Holds the crowd and looks at what it heard.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    let (clients, time) = plan.hold;
    println!("\nA crowd: {clients} new clients held for {} s", time.as_secs());
    let server = Server::start(&scratch.folder("hold")?, "127.0.0.1:0", &[])?;
    let pid = server.process.pid();
    let mut load = Load::new()?;
    let began = Instant::now();
    load.connect(clients, Dialect::New, server.address, |tally| Ok(tally.ready))?;
    let connected = began.elapsed();
    load.forget_beats();
    let before = cpu(pid)?;
    let dropped = load.run(time, |tally| tally.ended > 0)?;
    let share = (cpu(pid)? - before).as_secs_f64() / time.as_secs_f64();
    let tally = load.tally();
    let late = Sample::new(tally.beats.iter().map(|gap| gap.saturating_sub(BEAT_EVERY)).collect());
    let late = late.ok_or_else(|| io::Error::other("no client heard two beats"))?;
    let mut table = Table::new(&[
        "all here after",
        "dropped",
        "beats heard",
        "late p50",
        "late p99",
        "late worst",
        "processor",
        "PSS",
    ]);
    table.row([
        milliseconds(connected),
        tally.ended.to_string(),
        late.count().to_string(),
        milliseconds(late.median()),
        milliseconds(late.percentile(99)),
        milliseconds(late.worst()),
        format!("{:.1} % of a core", share * 100.0),
        format!("{} KiB", pss(pid)?),
    ]);
    table.print();
    let expected = clients * (time.as_secs() as usize - 1);
    let held = !dropped && late.count() >= expected;
    report.judge(
        format!("{clients} clients held for {} s", time.as_secs()),
        format!("{} dropped, worst beat {} late", tally.ended, milliseconds(late.worst())),
        "0 dropped, all beats heard".into(),
        held,
    );
    Ok(())
}
