//! `ls` on a client, twice a second: of the directory above the share, with and without a look at what is in it, and of one that has
//! nothing to do with it. The last one tells how busy this machine was: the guests are emulated, on processors that others
//! use too.

use crate::house::House;
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::samples::Samples;
use std::io;
use std::time::Duration;

/// A listing may take that long, beyond what it takes because the machine is busy.
const BLINK: Duration = Duration::from_secs(1);
/// Nothing of this can hang.
const HARMLESS: &str = "ls -l /etc/pistop";

/// The loops on one client.
pub struct Listings {
    plain: Samples,
    long: Samples,
    harmless: Samples,
}

impl Listings {
    /// Begins them; they end with this value, or with the machine.
    ///
    /// # Errors
    /// The machine's door is closed.
    pub fn begin(house: &House, client: &Machine) -> io::Result<Self> {
        let sample = |command| Samples::begin(client, command, &house.watch);
        Ok(Self { plain: sample("ls /var/lib/mpd")?, long: sample("ls -l /var/lib/mpd")?, harmless: sample(HARMLESS)? })
    }

    /// The name alone never hangs, and nothing hangs once the share is gone.
    pub fn judge(&self, ledger: &mut Ledger, at: Duration, gone: Duration) {
        self.quick(ledger, &self.plain, at);
        self.quick(ledger, &self.long, gone);
        if at < gone {
            let longest = self.long.longest(at).as_secs_f64();
            ledger.figure(self.long.who, &format!("longest `{}` of all", self.long.command), format!("{longest:.2} s"));
        }
    }

    fn quick(&self, ledger: &mut Ledger, samples: &Samples, from: Duration) {
        let (longest, busy) = (samples.longest(from), self.harmless.longest(from));
        let count = samples.count(from);
        let so = count > 3 && longest.saturating_sub(busy) <= BLINK;
        let (longest, busy) = (longest.as_secs_f64(), busy.as_secs_f64());
        let seen = format!("{longest:.2} s at most, of {count}; a harmless one {busy:.2} s");
        ledger.expect(samples.who, &format!("`{}` does not hang", samples.command), so, seen);
    }
}
