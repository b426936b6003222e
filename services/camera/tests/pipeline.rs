//! The pipeline with the real GStreamer: pictures of its own test source go in, and what comes out is looked at.
#![allow(clippy::unwrap_used, missing_docs)]

use bytes::Bytes;
use camera::pipeline::encoder::Kind;
use camera::pipeline::{Output, Pipeline, Rate, Wanted};
use gstreamer::prelude::*;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// So many different JPEGs of a size.
fn pictures(count: usize, width: i32, height: i32) -> Vec<Bytes> {
    camera::pipeline::init().unwrap();
    let text = format!(
        "videotestsrc pattern=ball num-buffers={count} ! video/x-raw,width={width},height={height} ! jpegenc ! appsink name=out sync=false"
    );
    let pipeline = gstreamer::parse::launch(&text).unwrap().downcast::<gstreamer::Bin>().unwrap();
    let out = pipeline.by_name("out").unwrap().downcast::<gstreamer_app::AppSink>().unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let pictures = std::iter::from_fn(|| out.pull_sample().ok())
        .map(|sample| Bytes::copy_from_slice(&sample.buffer().unwrap().map_readable().unwrap()));
    let pictures = pictures.collect();
    pipeline.set_state(gstreamer::State::Null).unwrap();
    pictures
}

struct Out(Receiver<Output>);

impl Out {
    /// The next coded picture: its time in milliseconds, whether it is a key frame, its bytes.
    async fn next(&mut self) -> Option<(u64, bool, Vec<u8>)> {
        match timeout(Duration::from_secs(3), self.0.recv()).await.ok()?? {
            Output::Unit(unit) => {
                Some((unit.at.as_millis() as u64, unit.key, unit.with_bytes(<[u8]>::to_vec).unwrap()))
            }
            Output::Broken(why) => panic!("{why}"),
        }
    }
}

fn at(n: usize, fps: u64) -> Duration {
    Duration::from_secs(5000) + Duration::from_millis(n as u64 * 1000 / fps)
}

/// The types of the NAL units in a coded picture.
fn units(bytes: &[u8]) -> Vec<u8> {
    bytes.windows(4).filter(|four| four[..3] == [0, 0, 1]).map(|four| four[3] & 31).collect()
}

fn start(fps: f64) -> (Pipeline, Out) {
    camera::pipeline::init().unwrap();
    let (pipeline, out) = Pipeline::start("test", Kind::X264, Rate { fps, bitrate: 1000, buffer_ms: 600 }).unwrap();
    (pipeline, Out(out))
}

#[tokio::test]
async fn key_frames_are_where_they_are_asked_for_and_begin_with_their_parameters() {
    let (pipeline, mut out) = start(15.0);
    let pictures = pictures(60, 640, 480);
    for (n, jpeg) in pictures.iter().enumerate() {
        assert!(pipeline.push(jpeg.clone(), at(n, 15), [0, 7, 31].contains(&n)));
        let (time, key, bytes) = out.next().await.unwrap();
        assert_eq!(time, at(n, 15).as_millis() as u64, "what goes in comes out, at once");
        assert_eq!(key, [0, 7, 31].contains(&n), "picture {n}");
        if key {
            let units = units(&bytes);
            let (sps, idr) = (units.iter().position(|&unit| unit == 7), units.iter().position(|&unit| unit == 5));
            assert!(sps.is_some() && sps < idr && units.contains(&8), "{units:?}");
        }
    }
    assert_eq!(pipeline.taken(), 60);
}

#[tokio::test]
async fn a_pipeline_outlives_pauses_broken_pictures_and_another_size() {
    let (pipeline, mut out) = start(15.0);
    let (large, small) = (pictures(10, 640, 480), pictures(10, 320, 240));
    pipeline.push(Bytes::from_static(b"\xff\xd8\xff\xd9"), at(0, 15) - Duration::from_millis(66), true);
    pipeline.push(large[0].clone(), at(0, 15), true);
    assert_eq!(out.next().await.unwrap().0, 5_000_000);
    for n in 1..200 {
        pipeline.push(Bytes::from_static(b"\xff\xd8 this is no picture \xff\xd9"), at(n, 15), false);
        // The queue before the decoder is short.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let later = Duration::from_secs(9000);
    pipeline.push(large[1].clone(), later, true);
    let (time, key, _) = out.next().await.unwrap();
    assert_eq!((time, key), (9_000_000, true), "half an hour later, nothing in between");
    pipeline.push(small[0].clone(), later + Duration::from_millis(66), false);
    let (_, key, bytes) = out.next().await.unwrap();
    assert!(key && units(&bytes).contains(&7), "a new size is a new beginning");
    pipeline.push(large[2].clone(), later + Duration::from_millis(132), false);
    assert!(out.next().await.unwrap().1);
}

#[tokio::test]
async fn an_odd_size_is_recorded_but_for_its_last_column_and_row() {
    let (pipeline, mut out) = start(15.0);
    let (odd, even) = (pictures(3, 641, 481), pictures(3, 640, 480));
    for (n, jpeg) in odd.iter().chain(&even).chain(&odd).enumerate() {
        pipeline.push(jpeg.clone(), at(n, 15), false);
        let (_, key, _) = out.next().await.unwrap();
        assert_eq!(key, n == 0, "to the encoder it is one size");
    }
}

/// As many bits a picture as were asked for, at any pace, whatever the encoder believes, and also when that is changed.
#[tokio::test]
async fn the_bits_follow_the_pictures_that_really_come() {
    let noise: Vec<Bytes> = {
        let text = "videotestsrc pattern=snow num-buffers=60 ! video/x-raw,width=640,height=480 ! jpegenc ! appsink name=out sync=false";
        let pipeline = gstreamer::parse::launch(text).unwrap().downcast::<gstreamer::Bin>().unwrap();
        let sink = pipeline.by_name("out").unwrap().downcast::<gstreamer_app::AppSink>().unwrap();
        pipeline.set_state(gstreamer::State::Playing).unwrap();
        std::iter::from_fn(|| sink.pull_sample().ok())
            .map(|sample| Bytes::copy_from_slice(&sample.buffer().unwrap().map_readable().unwrap()))
            .collect()
    };
    for (believed, fps) in [(15.0, 15), (15.0, 5), (15.0, 1), (4.0, 4), (5.0, 15)] {
        let (pipeline, mut out) = start(believed);
        pipeline.set(Wanted { fps: 15.0, bitrate: 2000 }.rate(believed, fps as f64));
        pipeline.set(Wanted { fps: 15.0, bitrate: 1000 }.rate(believed, fps as f64));
        let mut bytes = 0;
        for (n, jpeg) in noise.iter().enumerate() {
            pipeline.push(jpeg.clone(), at(n, fps), (n as u64).is_multiple_of(3 * fps));
            let (_, key, unit) = out.next().await.unwrap();
            assert!(n > 0 || key);
            bytes += unit.len();
        }
        let kbit = bytes as f64 * 8.0 / (noise.len() as f64 / fps as f64) / 1000.0;
        println!("{fps} pictures a second, {believed} believed: {kbit:.0} kbit/s");
        let wanted = 1000.0 * fps as f64 / 15.0;
        assert!((0.8..1.25).contains(&(kbit / wanted)), "{kbit:.0} kbit/s at {fps} pictures a second, not {wanted:.0}");
    }
}

#[tokio::test]
async fn what_is_not_fetched_stops_nobody() {
    let (pipeline, out) = start(15.0);
    let picture = pictures(1, 640, 480).remove(0);
    let pushed = (0..500).filter(|&n| pipeline.push(picture.clone(), at(n, 15), false)).count();
    assert!(pushed > 0);
    let mut out = out;
    assert!(out.next().await.is_some(), "it goes on");
    drop(pipeline);
    while out.next().await.is_some() {}
}
