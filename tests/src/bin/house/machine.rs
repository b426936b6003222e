//! One machine: a QEMU process with its disks, its tap and its serial console. Its power is switched on and cut here; that it
//! switches itself off is seen by the end of the process.

use crate::base::Base;
use crate::door::{self, Answer};
use crate::network;
use crate::watch::{self, POWER_IS_OFF, Watch};
use std::cell::RefCell;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long one command on a machine may take.
const COMMAND: Duration = Duration::from_secs(60);
/// Handed to every kernel: a console that we can read, on which the journal appears as well, and nothing that only costs time.
const KERNEL_LINE: &str = "root=/dev/vda rw console=ttyS0 quiet panic=10 8250.nr_uarts=1 net.ifnames=0 mitigations=off \
     systemd.show_status=false systemd.journald.forward_to_console=1";

/// What a machine is made of.
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// Its address on the wire.
    pub address: Ipv4Addr,
    /// Its disks, the root first.
    pub disks: Vec<PathBuf>,
}

/// A machine, on or off.
pub struct Machine {
    plan: Plan,
    tap: String,
    kernel: PathBuf,
    initrd: PathBuf,
    watch: Watch,
    process: RefCell<Option<Child>>,
}

impl Machine {
    /// Plugs it in; its power stays off.
    ///
    /// # Errors
    /// There is no tap to be had, or no kernel in the base system.
    pub fn new(plan: Plan, base: &Base, watch: &Watch) -> io::Result<Self> {
        Ok(Self {
            tap: network::plug(plan.name)?,
            kernel: base.boot("vmlinuz-")?,
            initrd: base.boot("initrd.img-")?,
            watch: watch.clone(),
            process: RefCell::new(None),
            plan,
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.plan.name
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.plan.address
    }

    /// Switches it on; when that was.
    ///
    /// # Errors
    /// QEMU does not start.
    pub fn power_on(&self) -> io::Result<Duration> {
        let at = self.watch.tell(&format!("power on: {}", self.name()));
        let mut child = self.qemu().spawn()?;
        let console = child.stdout.take().expect("the console was piped");
        self.watch.listen(self.name(), console);
        *self.process.borrow_mut() = Some(child);
        Ok(at)
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        let mut process = self.process.borrow_mut();
        process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Cuts its power, as by pulling the plug; when that was.
    ///
    /// # Errors
    /// It has no power to cut.
    pub fn cut(&self) -> io::Result<Duration> {
        let at = self.watch.tell(&format!("the power of {} is cut", self.name()));
        let mut process = self.process.borrow_mut();
        let child = process.as_mut().ok_or_else(|| io::Error::other(format!("{} is not on", self.name())))?;
        child.kill()?;
        child.wait()?;
        *process = None;
        Ok(at)
    }

    /// Waits until it has switched itself off; when that was.
    pub fn goes_off(&self, from: Duration, patience: Duration) -> Option<Duration> {
        let off = self.watch.sees(from, self.name(), POWER_IS_OFF, patience)?;
        watch::until(patience, || (!self.is_on()).then_some(off))
    }

    /// Runs a command on it.
    ///
    /// # Errors
    /// Its door is closed, or the command takes longer than a minute.
    pub fn ask(&self, command: &str) -> io::Result<Answer> {
        door::ask(self.address(), command, COMMAND)
    }

    /// What a command prints, and nothing if it could not be run or failed.
    pub fn says(&self, command: &str) -> String {
        match self.ask(command) {
            Ok(Answer { text, code: 0 }) => text.trim().to_owned(),
            _ => String::new(),
        }
    }

    fn qemu(&self) -> Command {
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "qemu64", "-m", "512", "-nodefaults", "-display", "none"]);
        qemu.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initrd).args(["-append", KERNEL_LINE]);
        for disk in &self.plan.disks {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,cache=unsafe", disk.display()));
        }
        let hardware = u32::from(self.address()) & 0xff;
        qemu.arg("-netdev").arg(format!("tap,id=wire,ifname={},script=no,downscript=no", self.tap));
        qemu.arg("-device").arg(format!("virtio-net-pci,netdev=wire,mac=52:54:00:77:00:{hardware:02x}"));
        qemu.args(["-device", "virtio-rng-pci", "-chardev", "file,id=console,path=/dev/stdout"]);
        qemu.args(["-serial", "chardev:console"]);
        qemu.stdin(Stdio::null()).stdout(Stdio::piped());
        qemu
    }
}
