//! What is missing of each camera, and why, as the lists say that `upload` has written into the bucket.

use crate::stage::Stage;
use serde_json::Value;

/// A time of which nothing was recorded.
#[derive(Debug, Clone)]
pub struct Gap {
    /// Of which camera.
    pub camera: String,
    /// From, in milliseconds since 1970.
    pub from_ms: u64,
    /// To.
    pub to_ms: u64,
    /// Why.
    pub why: String,
}

/// All gaps, by camera and time.
pub fn of(stage: &Stage) -> Vec<Gap> {
    let objects = stage.s3.objects();
    let lists = objects.iter().filter(|(key, _)| key.contains("/manifest_"));
    lists.filter_map(|(_, text)| serde_json::from_slice(text).ok()).flat_map(|list: Value| in_list(&list)).collect()
}

fn in_list(list: &Value) -> Vec<Gap> {
    let camera = list["camera"].as_str().unwrap_or_default();
    let gap = |gap: &Value| {
        let at = |name: &str| gap[name].as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond().try_into().ok();
        let (from_ms, to_ms) = (at("from")?, at("to")?);
        Some(Gap { camera: camera.into(), from_ms, to_ms, why: gap["why"].as_str()?.into() })
    };
    list["gaps"].as_array().into_iter().flatten().filter_map(gap).collect()
}

/// Prints them.
pub fn print(gaps: &[Gap]) {
    println!("\nwhat is missing:");
    for Gap { camera, from_ms, to_ms, why } in gaps {
        let [from, to] = [from_ms, to_ms].map(|ms| time(*ms));
        println!("  {camera}  {from} to {to}  {:5.1} s  {why}", to_ms.saturating_sub(*from_ms) as f64 / 1000.0);
    }
}

/// `04:41:07.250`, in UTC.
pub fn time(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.strftime("%H:%M:%S%.3f").to_string())
}
