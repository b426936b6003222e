//! What the eyes cost, in CPU seconds for each second of VGA at 15 fps: looks at pictures alone, then the whole way from a camera's socket to the
//! recorder. `cargo run --release -p mjpeg --example look`

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use mjpeg::jpeg::Eye;
use mjpeg::{Config, Happening};
use std::time::{Duration, Instant};

const ROUNDS: u32 = 1500;

fn main() {
    for (quality, noise) in [(60, 8), (80, 6), (80, 12), (85, 40)] {
        let jpeg = picture(quality, noise);
        let config = Config::new("http://camera/".parse().expect("an address"));
        let mut eye = Eye::new(&config);
        let (start, mut at) = (cpu(), Instant::now());
        for _ in 0..ROUNDS {
            at += Duration::from_micros(66_667);
            eye.see(&jpeg, at).expect("a good picture");
        }
        let each = (cpu() - start) / ROUNDS;
        println!("{:6} bytes: {each:?} a picture, {:.5} CPU-s/s", jpeg.len(), each.as_secs_f64() * 15.0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    runtime.block_on(stream());
}

/// Ten seconds of a camera, which runs on threads of its own.
async fn stream() {
    let camera = esp32::Camera::start(Vec::new()).expect("a free port");
    let (teller, mut happenings) = mjpeg::channel(10);
    let source = tokio::spawn(mjpeg::run(Config::new(camera.url().parse().expect("an address")), teller));
    let (mut frames, mut bytes, mut start) = (0_u32, 0, cpu());
    while frames < 180 {
        let Some(Happening::Frame(frame)) = happenings.next().await else { continue };
        (frames, bytes) = (frames + 1, bytes + frame.jpeg.len());
        if frames == 30 {
            start = cpu();
        }
    }
    let used = (cpu() - start).as_secs_f64();
    println!("{:6} bytes: {:.5} CPU-s/s from the socket to the recorder", bytes / 180, used / 10.0);
    drop(happenings);
    source.await.expect("the source ends");
}

/// Time that this thread has had a processor, by the kernel.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts");
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number"))
}

/// Slopes, edges and noise, 4:2:2 as from an OV2640.
fn picture(quality: u8, noise: u8) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let pixels: Vec<u8> = (0..640 * 480_u32)
        .flat_map(|at| {
            let (x, y, noise) = (at % 640, at / 640, random.u8(..noise));
            [(x / 3 + y / 5) % 200, x * y / 900 % 180, y / 3].map(|level| (level as u8).saturating_add(noise))
        })
        .collect();
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, quality);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_2);
    encoder.encode(&pixels, 640, 480, ColorType::Rgb).expect("encodes");
    jpeg
}
