//! One segment on its way: held, reserved a key, sent, checked, deleted. What it returns is all that the machine learns.
//!
//! Nothing is overwritten: it is looked first whether something is there. A key that was sent to before a crash may hold our own bytes already, which
//! their ETag tells; then nothing is sent again. Where the key may not look, the storage is asked to refuse what is there (`If-None-Match`); whether it knows
//! that, as B2 does not, is tried with something small, since a refusal comes after the bytes. What may be there of our own is sent to the same key without that.

use crate::ledger::{Entry, Ledger, State};
use crate::machine::{Item, Outcome};
use crate::manifest::instant;
use crate::pacer::Pacer;
use crate::shaper::Class;
use crate::store::{Parcel, Store};
use crate::trouble::Trouble;
use data_encoding::HEXLOWER;
use jiff::tz::TimeZone;
use md5::{Digest, Md5};
use segments::folder::label_of;
use segments::{Held, Label, Name};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Attempts to find a key that is free, within one sending.
const MOST_KEYS: u32 = 50;

/// The object by which it is tried whether the storage knows conditions, beside the recordings of a camera: a key may be for these alone.
const CONDITIONS: &str = "conditions.txt";
/// A key that may not look is asked again so often: its rights may change, and a refusal may have been the weather.
const BLIND_FOR: Duration = Duration::from_secs(3600);

/// What all sendings share.
#[derive(Debug, Clone)]
pub struct Courier {
    /// Where things lie.
    pub zone: TimeZone,
    /// How fast.
    pub pacer: Pacer,
    /// What became of each segment.
    pub ledger: Arc<Mutex<Ledger>>,
    /// What the server was found to be able to.
    pub manners: Arc<Manners>,
}

/// What the key may and the storage knows, as far as it was found out.
#[derive(Debug, Default)]
pub struct Manners {
    /// Since when it is known that the key may not look.
    blind: Mutex<Option<Instant>>,
    conditions: Mutex<Option<bool>>,
    /// Keys under which something of ours lies that is not what was sent. It is overwritten, so that there is one for
    /// each segment and not one for each try.
    wrong: Mutex<BTreeSet<String>>,
}

impl Manners {
    fn wrong(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_blind(&self, now: Instant) -> bool {
        let since = *self.blind.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| now.saturating_duration_since(since) < BLIND_FOR)
    }

    fn blind(&self, now: Instant) {
        *self.blind.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Another key may be able to do more, or less.
    pub fn forget(&self) {
        *self.blind.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Courier {
    /// Brings a segment there.
    pub async fn send(self, store: Store, item: Item, class: Class) -> Outcome {
        match self.deliver(&store, &item, class).await {
            Ok(outcome) => outcome,
            Err(trouble) => Outcome::Failed(trouble),
        }
    }

    /// What became of each segment.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn deliver(&self, store: &Store, item: &Item, class: Class) -> Result<Outcome, Trouble> {
        let begun = Instant::now();
        let Some(held) = Held::take(&item.path).map_err(|why| unread(&item.path, &why))? else {
            return Ok(Outcome::Gone);
        };
        let Some(label) = label_beside(&item.path) else { return Ok(Outcome::Gone) };
        let (file, bytes, md5) = open(&held, &item.path).await?;
        let sum = HEXLOWER.encode(&md5);
        // Another recording under the same id would be another one all the same.
        let done = |entry: &&Entry| entry.state == State::Done && entry.md5 == sum;
        let settled = self.ledger().get(&item.id).filter(done).cloned();
        if let Some(entry) = settled {
            tracing::info!("{} was uploaded before, to {}", item.path.display(), entry.key);
            return delete(held, item, entry.key, bytes);
        }
        let label = Label { bytes, ..label };
        if label.md5 != sum {
            tracing::warn!("{} is not what its label says; it is sent as it is", item.path.display());
        }
        let parcel =
            Parcel { key: String::new(), file, bytes, md5, id: item.id.clone(), class, remarks: remarks(&label, &sum) };
        let key = self.place(store, &label, parcel, &sum).await?;
        self.ledger().done(&item.id);
        tracing::info!("uploaded {key}, {bytes} bytes in {:.1} s", begun.elapsed().as_secs_f64());
        delete(held, item, key, bytes)
    }

    /// Finds a key, sends, and checks what arrived.
    async fn place(&self, store: &Store, label: &Label, mut parcel: Parcel, md5: &str) -> Result<String, Trouble> {
        let id = parcel.id.clone();
        let (key, mut in_doubt) = self.ledger().reserve(&self.zone, &id, label, md5);
        parcel.key = key;
        for _ in 0..MOST_KEYS {
            match self.try_key(store, &parcel, md5, in_doubt).await {
                Err(Trouble::Taken) => {
                    parcel.key = self.ledger().reserve_next(&self.zone, &id, label, md5);
                    in_doubt = false;
                }
                Err(trouble) => return Err(trouble),
                Ok(()) => return Ok(parcel.key),
            }
        }
        Err(Trouble::Object { why: format!("no key like {} is free", parcel.key) })
    }

    /// [`Trouble::Taken`] if something else is there.
    async fn try_key(&self, store: &Store, parcel: &Parcel, md5: &str, in_doubt: bool) -> Result<(), Trouble> {
        if self.manners.wrong().contains(&parcel.key) {
            return self.put(store, parcel, md5, false).await;
        }
        if !self.manners.is_blind(Instant::now()) {
            match store.look(&parcel.key).await {
                Ok(Some(etag)) if is(&etag, md5) => return Ok(()),
                Ok(Some(_)) => return Err(Trouble::Taken),
                Ok(None) => return self.put(store, parcel, md5, false).await,
                Err(trouble @ Trouble::Server { .. }) => return Err(trouble),
                // An answer to a look has no words; what is the matter is said to the upload.
                Err(_) => {}
            }
        }
        let only_new = !in_doubt && self.knows_conditions(store, &parcel.id.camera).await?;
        match self.put(store, parcel, md5, only_new).await {
            Err(Trouble::Taken) => return self.compare(store, &parcel.key, md5).await,
            sent => sent?,
        }
        // A key that may write and not look is as it should be; a wrong one would not have come so far.
        self.manners.blind(Instant::now());
        Ok(())
    }

    /// Something is there: whether it is what was to be sent, if the key may look after all.
    async fn compare(&self, store: &Store, key: &str, md5: &str) -> Result<(), Trouble> {
        match store.look(key).await {
            Ok(Some(etag)) if is(&etag, md5) => Ok(()),
            Err(trouble @ Trouble::Server { .. }) => Err(trouble),
            _ => Err(Trouble::Taken),
        }
    }

    /// Whether the storage knows `If-None-Match`.
    async fn knows_conditions(&self, store: &Store, camera: &str) -> Result<bool, Trouble> {
        let known = *self.manners.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known {
            return Ok(known);
        }
        let knows = match store.put_new(&format!("{camera}/{CONDITIONS}")).await {
            Ok(()) | Err(Trouble::Taken) => true,
            Err(Trouble::NotImplemented) => false,
            Err(trouble) => return Err(trouble),
        };
        *self.manners.conditions.lock().unwrap_or_else(PoisonError::into_inner) = Some(knows);
        if !knows {
            tracing::info!(
                "the key may not look, and the storage does not know If-None-Match: only our own keys are known"
            );
        }
        Ok(knows)
    }

    async fn put(&self, store: &Store, parcel: &Parcel, md5: &str, only_new: bool) -> Result<(), Trouble> {
        let in_doubt = self.ledger().sending(&parcel.id);
        let answer = store.put(parcel, &self.pacer, only_new).await;
        if !in_doubt && answer.as_ref().is_err_and(|trouble| !matches!(trouble, Trouble::Server { in_doubt: true, .. }))
        {
            self.ledger().refused(&parcel.id);
        }
        let arrived = checked(&answer?, md5);
        match &arrived {
            Ok(()) => drop(self.manners.wrong().remove(&parcel.key)),
            Err(_) => drop(self.manners.wrong().insert(parcel.key.clone())),
        }
        arrived
    }
}

/// What arrived is what was sent, or it does not count.
fn checked(etag: &str, md5: &str) -> Result<(), Trouble> {
    if is(etag, md5) {
        return Ok(());
    }
    let why = format!(
        "what arrived has the ETag {etag} and not {md5}, so it is not what was sent; \
         if the bucket encrypts with keys of its own (SSE-KMS), turn that off"
    );
    Err(Trouble::Wrong { why })
}

fn is(etag: &str, md5: &str) -> bool {
    etag.trim_matches('"').eq_ignore_ascii_case(md5)
}

fn delete(held: Held, item: &Item, key: String, bytes: u64) -> Result<Outcome, Trouble> {
    held.delete().map_err(|why| Trouble::Object {
        why: format!(
            "it is uploaded as {key}, and cannot be deleted here: {why}; may this user write to the directory?"
        ),
    })?;
    tracing::debug!("{} is deleted", item.path.display());
    Ok(Outcome::Done { key, bytes })
}

/// The label beside a segment.
fn label_beside(path: &Path) -> Option<Label> {
    let name = Name::parse(path.file_name()?.to_str()?.strip_suffix(".ts")?)?;
    label_of(path.parent()?, &name)
}

/// The open file, its size and its MD5, which is read once more: memory can be wrong, too.
async fn open(held: &Held, path: &Path) -> Result<(Arc<File>, u64, [u8; 16]), Trouble> {
    let read = |file: &File| -> io::Result<(u64, [u8; 16])> {
        let (mut digest, mut buffer, mut at) = (Md5::new(), vec![0; 64 * 1024], 0);
        loop {
            match file.read_at(&mut buffer, at)? {
                0 => return Ok((at, digest.finalize().into())),
                some => {
                    digest.update(&buffer[..some]);
                    at += some as u64;
                }
            }
        }
    };
    let file = Arc::new(held.file().try_clone().map_err(|why| unread(path, &why))?);
    let same = file.clone();
    let digest = tokio::task::spawn_blocking(move || read(&same)).await.map_err(io::Error::other);
    let (bytes, md5) = digest.and_then(|digest| digest).map_err(|why| unread(path, &why))?;
    Ok((file, bytes, md5))
}

fn unread(path: &Path, why: &io::Error) -> Trouble {
    Trouble::Object { why: format!("{}: {why}; may this user read it?", path.display()) }
}

fn remarks(label: &Label, md5: &str) -> Vec<(&'static str, String)> {
    let word = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|value| value.as_str().map(String::from)).unwrap_or_default()
    };
    vec![
        ("md5", md5.into()),
        ("start", instant(label.start_unix_ms)),
        ("duration-ms", label.duration_ms.to_string()),
        ("clock", word(serde_json::to_value(label.clock))),
        ("reason", word(serde_json::to_value(label.reason))),
        ("marked", label.marked.to_string()),
        ("run", format!("{}.{:06}", label.boot, label.sequence)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_a_checksum_in_quotes() {
        let md5 = "5d41402abc4b2a76b9719d911017c592";
        assert!(checked(&format!("\"{md5}\""), md5).is_ok() && checked(&md5.to_uppercase(), md5).is_ok());
        let why = checked("\"5d41402abc4b2a76b9719d911017c592-2\"", md5).unwrap_err();
        assert!(why.why().contains("is not what was sent"), "{why:?}");
        assert!(checked("", md5).is_err());
    }

    #[test]
    fn a_key_that_may_not_look_is_not_taken_to_be_blind_for_ever() {
        let (manners, now) = (Manners::default(), Instant::now());
        assert!(!manners.is_blind(now));
        manners.blind(now);
        assert!(manners.is_blind(now + BLIND_FOR / 2) && !manners.is_blind(now + BLIND_FOR));
        manners.forget();
        assert!(!manners.is_blind(now), "this may be another key");
    }

    #[test]
    fn what_stands_beside_an_object_is_in_plain_words() {
        let label = crate::ledger::tests::label(7, 1_795_658_040_123, 20_000);
        let remarks = remarks(&label, "m");
        let expected = [
            ("md5", "m"),
            ("start", "2026-11-26T01:54:00.123Z"),
            ("duration-ms", "20000"),
            ("clock", "set"),
            ("reason", "length"),
            ("marked", "false"),
            ("run", "0000000a.000007"),
        ];
        assert_eq!(remarks, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
