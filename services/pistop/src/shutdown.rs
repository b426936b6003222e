//! `pistop shutdown` and `pistop drill`: asks for it, then shows a time line until it is over.

use crate::ask::ask;
use crate::config::ShutdownFlags;
use crate::words;
use protocol::control::{Moment, Reply, Request, ShutdownRequest};
use protocol::shutdown::Afterwards;
use runner::exit::Failure;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// What nobody does for whoever asked for a shutdown and nothing else.
const HOW_IT_GOES_ON: &str = "power this machine off now; or restart fserver, and the house takes up work again";

/// Shuts down, restarts, cancels, or says what would be done.
pub async fn run(socket: &Path, flags: &ShutdownFlags) -> Result<(), Failure> {
    if flags.cancel {
        ask(socket, Request::Cancel).await?.next().await?;
        println!("cancelled");
        return Ok(());
    }
    let then = afterwards(flags);
    let &ShutdownFlags { deadline, restart, dry_run, json, .. } = flags;
    let reason = flags.reason.clone();
    follow(socket, ShutdownRequest { deadline, reason, restart, dry_run, drill: false, then }, json).await
}

/// All phases with harmless commands.
pub async fn drill(socket: &Path, deadline: Option<Duration>, json: bool) -> Result<(), Failure> {
    let reason = "drill".into();
    let then = Afterwards::Stays;
    let request = ShutdownRequest { deadline, reason, restart: None, dry_run: false, drill: true, then };
    follow(socket, request, json).await
}

fn afterwards(flags: &ShutdownFlags) -> Afterwards {
    match flags.reboot {
        Some(within) => Afterwards::Returns(within),
        None if flags.going_down => Afterwards::GoesDown,
        None => Afterwards::Stays,
    }
}

async fn follow(socket: &Path, request: ShutdownRequest, json: bool) -> Result<(), Failure> {
    let is_left_alone = request.then == Afterwards::Stays && request.restart.is_none() && !request.drill;
    let mut is_committed = false;
    let mut answers = ask(socket, Request::Shutdown(request)).await?;
    loop {
        match answers.next().await? {
            Reply::Plan(lines) => lines.iter().for_each(|line| println!("would tell {line}")),
            Reply::Moment(moment) => {
                is_committed |= moment.who == "server" && moment.what == "committed";
                show(&moment, json);
            }
            Reply::Done { late } => {
                if is_committed && is_left_alone && !json {
                    words::say(HOW_IT_GOES_ON);
                }
                return over(&late, json);
            }
            other => return Err(Failure::Permanent(format!("an answer that does not belong to shutdown: {other:?}"))),
        }
    }
}

fn show(moment: &Moment, as_json: bool) {
    let Moment { at, who, what } = moment;
    match as_json {
        true => words::say(&json!({"at": at.as_secs_f64(), "who": who, "what": what}).to_string()),
        false => words::say(&words::moment(moment)),
    }
}

/// Somebody who did not finish makes it a failure that a script can see.
fn over(late: &[String], as_json: bool) -> Result<(), Failure> {
    if as_json {
        println!("{}", json!({"late": late}));
    }
    match late {
        [] => Ok(()),
        late => Err(Failure::Temporary(format!("not finished: {}", late.join("; ")))),
    }
}
