//! The camera as a program, for demos and benches.

use clap::Parser;
use esp32::{Camera, Step};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// A camera like an ESP32-CAM, with faults by the clock. Prints the address of its stream, then runs until it is killed.
#[derive(Debug, Parser)]
#[command(name = "esp32")]
struct Options {
    /// Address and port of the stream
    #[arg(long, default_value = "127.0.0.1:0")]
    stream: SocketAddr,
    /// Address and port of /day, /night, /status and /capture
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// A fault: AT+FOR:FAULT or AT:FAULT, in seconds; 20+1.5:garbage sends garbage from 20.0 to 21.5 s. Again for each
    #[arg(long = "fault", value_name = "AT+FOR:FAULT")]
    faults: Vec<Step>,
    /// Ends by itself after so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let camera = match Camera::start_at(options.stream, options.control, options.faults) {
        Ok(camera) => camera,
        Err(why) => {
            eprintln!("esp32: cannot listen on {} and {}: {why}; choose other ports", options.stream, options.control);
            return ExitCode::FAILURE;
        }
    };
    println!("stream {}\ncontrol {}", camera.url(), camera.control_url());
    std::thread::sleep(options.seconds.map_or(Duration::MAX, Duration::from_secs_f64));
    ExitCode::SUCCESS
}
