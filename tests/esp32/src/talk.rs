//! What the camera answers: the stream with its faults, pictures, presets.

use crate::camera::{FPS, Preset, Shared};
use crate::scene::Scene;
use crate::script::Fault;
use crate::wire::Wire;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// That of CameraWebServer.
const BOUNDARY: &str = "123456789000000000000987654321";

/// Made once a process: VGA, QVGA and an odd size, by day and by night.
fn scene(faults: &[Fault], dark: bool) -> &'static Scene {
    static SCENES: [OnceLock<Scene>; 6] = [const { OnceLock::new() }; 6];
    let (place, (width, height)) = match () {
        () if faults.contains(&Fault::Small) => (0, (320, 240)),
        () if faults.contains(&Fault::Odd) => (1, (641, 481)),
        () => (2, (640, 480)),
    };
    SCENES[place * 2 + usize::from(dark)].get_or_init(|| Scene::new(width, height, dark))
}

/// A client at the stream's port.
pub(crate) fn stream_port(socket: Arc<TcpStream>, shared: &Shared) {
    let Ok(mut wire) = Wire::new(socket, shared) else { return };
    let Ok(path) = wire.request() else { return };
    if path.split('?').next() != Some("/stream") {
        let _ = answer(&mut wire, &path);
        return;
    }
    let _ = match stream(&mut wire) {
        Ok(Ending::Reset) => {
            wire.reset();
            return;
        }
        ended => ended,
    };
}

/// A client at the other port.
pub(crate) fn control_port(socket: Arc<TcpStream>, shared: &Shared) {
    let Ok(mut wire) = Wire::new(socket, shared) else { return };
    let _ = wire.request().and_then(|path| answer(&mut wire, &path));
}

/// Everything but the stream.
fn answer(wire: &mut Wire<'_>, path: &str) -> io::Result<()> {
    wire.shared.state().log.requests.push((path.to_owned(), Instant::now()));
    let preset = match path {
        "/day" => Some(Preset::Day),
        "/night" => Some(Preset::Night),
        _ => None,
    };
    if preset.is_some() && wire.shared.is_on(Fault::NoPresets) {
        return respond(wire, "500 Internal Server Error", "text/plain", b"sensor does not answer\n");
    }
    match (path, preset) {
        (_, Some(preset)) => {
            wire.shared.state().preset = Some(preset);
            respond(wire, "200 OK", "text/plain", format!("{} mode set\n", &path[1..]).as_bytes())
        }
        ("/status", _) => {
            let preset = wire.shared.state().preset;
            let word = preset.map_or("null", |preset| if preset == Preset::Day { "\"day\"" } else { "\"night\"" });
            let settings = wire.shared.state().settings.iter().map(|one| format!(",{one}")).collect::<String>();
            let status = format!("{{\"preset\":{word},\"uptime\":{}{settings}}}\n", wire.shared.uptime().as_secs());
            respond(wire, "200 OK", "application/json", status.as_bytes())
        }
        (_, None) if path.starts_with("/control?") => {
            control(wire.shared, path);
            respond(wire, "200 OK", "text/plain", b"")
        }
        ("/capture", _) => {
            let (_, jpeg) = take_picture(wire.shared, &wire.shared.faults());
            respond(wire, "200 OK", "image/jpeg", &jpeg)
        }
        _ => respond(wire, "404 Not Found", "text/html", b"Nothing matches the given URI\n"),
    }
}

/// Says yes whatever it is told, as CameraWebServer does.
fn control(shared: &Shared, path: &str) {
    let Some((var, val)) = path.trim_start_matches("/control?var=").split_once("&val=") else { return };
    let val = if shared.is_on(Fault::Stubborn) { "0" } else { val };
    let settings = &mut shared.state().settings;
    settings.retain(|one| !one.starts_with(&format!("\"{var}\":")));
    settings.push(format!("\"{var}\":{val}"));
}

fn respond(wire: &mut Wire<'_>, status: &str, kind: &str, body: &[u8]) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    wire.raw(&[head.as_bytes(), body].concat())
}

/// How a stream ends.
enum Ending {
    Closed,
    Reset,
}

fn stream(wire: &mut Wire<'_>) -> io::Result<Ending> {
    wire.wait(Instant::now(), |shared| shared.is_on(Fault::Silent))?;
    wire.shared.state().log.requests.push(("/stream".to_owned(), Instant::now()));
    let faults = wire.shared.faults();
    if head(wire, &faults)? {
        return Ok(Ending::Closed);
    }
    let mut next = Instant::now();
    loop {
        let stalled = |shared: &Shared| shared.is_on(Fault::Stall);
        wire.wait(next, stalled)?;
        let faults = wire.shared.faults();
        if faults.contains(&Fault::Close) {
            return Ok(Ending::Closed);
        }
        if faults.contains(&Fault::Reset) {
            return Ok(Ending::Reset);
        }
        let pace = faults.iter().find_map(|fault| if let Fault::Fps(rate) = fault { Some(*rate) } else { None });
        next = (next + Duration::from_secs_f32(1.0 / pace.unwrap_or(FPS))).max(Instant::now());
        picture(wire, &faults)?;
        wire.shared.picture_is_over(&faults);
    }
}

/// The head of the response; whether that was all.
fn head(wire: &mut Wire<'_>, faults: &[Fault]) -> io::Result<bool> {
    let on = |fault: Fault| faults.contains(&fault);
    if let Some(status) =
        faults.iter().find_map(|fault| if let Fault::Status(status) = fault { Some(*status) } else { None })
    {
        wire.raw(format!("HTTP/1.1 {status} No\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
        return Ok(true);
    }
    if on(Fault::Html) {
        respond(wire, "200 OK", "text/html", b"<html><body>ESP32-CAM</body></html>")?;
        return Ok(true);
    }
    if on(Fault::Single) {
        let (_, jpeg) = take_picture(wire.shared, faults);
        respond(wire, "200 OK", "image/jpeg", &jpeg)?;
        return Ok(true);
    }
    let end = if on(Fault::LfOnly) { "\n" } else { "\r\n" };
    let chunked = !on(Fault::Plain) && !on(Fault::NoHead);
    if !on(Fault::NoHead) {
        let boundary = if on(Fault::QuotedBoundary) { format!("\"--{BOUNDARY}\"") } else { BOUNDARY.to_owned() };
        let kind = match on(Fault::TextType) {
            true => "text/plain".to_owned(),
            false => format!("multipart/x-mixed-replace;boundary={boundary}"),
        };
        let coding = if chunked { "Transfer-Encoding: chunked" } else { "Connection: close" };
        let lines = ["HTTP/1.1 200 OK", &format!("Content-Type: {kind}"), coding, "X-Framerate: 60"];
        wire.raw((lines.join(end) + end).as_bytes())?;
        while wire.shared.is_on(Fault::EndlessHeaders) {
            wire.raw(format!("X-Nonsense: 1{end}").repeat(100).as_bytes())?;
        }
        wire.raw(end.as_bytes())?;
    }
    let most = if on(Fault::SmallChunks) { 1000 } else { usize::MAX };
    wire.begin_chunks(chunked.then_some(most));
    Ok(false)
}

/// The number of the next picture, and the picture.
fn take_picture(shared: &Shared, faults: &[Fault]) -> (u32, Vec<u8>) {
    let (number, dark, frozen) = {
        let mut state = shared.state();
        let number = state.next_number;
        state.next_number += 1;
        (number, state.preset == Some(Preset::Night), state.frozen.take())
    };
    let scene = scene(faults, dark);
    if !faults.contains(&Fault::Frozen) {
        return (number, scene.jpeg(number, false));
    }
    let jpeg = frozen.unwrap_or_else(|| scene.jpeg(number, true));
    shared.state().frozen = Some(jpeg.clone());
    (number, jpeg)
}

/// A part of the stream.
fn picture(wire: &mut Wire<'_>, faults: &[Fault]) -> io::Result<()> {
    let on = |fault: Fault| faults.contains(&fault);
    let (number, jpeg) = take_picture(wire.shared, faults);
    let (body, length) = body(&jpeg, faults);
    let end = if on(Fault::LfOnly) { "\n" } else { "\r\n" };
    let boundary = match () {
        () if on(Fault::WrongBoundary) => format!("{end}--somethingelse{end}"),
        () if on(Fault::ClosingBoundary) => format!("{end}--{BOUNDARY}--{end}{end}--{BOUNDARY}{end}"),
        () if on(Fault::BlankLines) => format!("{end}{end}{end}--{BOUNDARY}{end}"),
        () => format!("{end}--{BOUNDARY}{end}"),
    };
    if on(Fault::Bare) {
        wire.piece(&body)?;
    } else {
        if !on(Fault::BoundaryAfter) {
            wire.piece(boundary.as_bytes())?;
        }
        part_head(wire, length, end, faults)?;
        if on(Fault::Huge) {
            return huge(wire, &jpeg);
        }
        wire.piece(&body)?;
        if on(Fault::BoundaryAfter) {
            wire.piece(boundary.as_bytes())?;
        }
    }
    if body.starts_with(&jpeg) {
        wire.shared.state().log.sent.push((number, Instant::now()));
    }
    Ok(())
}

fn part_head(wire: &mut Wire<'_>, length: usize, end: &str, faults: &[Fault]) -> io::Result<()> {
    let length =
        if faults.contains(&Fault::NoLength) { String::new() } else { format!("Content-Length: {length}{end}") };
    let time = wire.shared.uptime();
    let lines = format!(
        "Content-Type: image/jpeg{end}{length}X-Timestamp: {}.{:06}{end}",
        time.as_secs(),
        time.subsec_micros()
    );
    wire.piece(lines.as_bytes())?;
    while wire.shared.is_on(Fault::EndlessPartHeaders) {
        wire.piece(format!("X-Nonsense: 1{end}").repeat(100).as_bytes())?;
    }
    wire.piece(end.as_bytes())
}

/// What is sent for a picture, and the length that is said of it.
fn body(jpeg: &[u8], faults: &[Fault]) -> (Vec<u8>, usize) {
    let half = &jpeg[..jpeg.len() / 2];
    let mut random = fastrand::Rng::with_seed(jpeg.len() as u64);
    let (body, length) = match faults.iter().find(|fault| is_in_body(**fault)) {
        Some(Fault::Garbage) => ((0..jpeg.len()).map(|_| random.u8(..)).collect(), None),
        Some(Fault::Truncated) => (half.to_vec(), None),
        Some(Fault::CutShort) => ([half, b"\xff\xd9"].concat(), None),
        Some(Fault::ZeroLength) => (Vec::new(), None),
        Some(Fault::HalfFrame) => (half.to_vec(), Some(jpeg.len())),
        Some(Fault::Padded) => ([jpeg, &[0; 500]].concat(), None),
        Some(Fault::LongLength) => (jpeg.to_vec(), Some(jpeg.len() + 5000)),
        Some(Fault::ShortLength) => (jpeg.to_vec(), Some(jpeg.len() / 2)),
        Some(Fault::Huge) => (Vec::new(), Some(1 << 30)),
        Some(Fault::BitFlipped) => {
            let mut flipped = jpeg.to_vec();
            (0..40).for_each(|_| flipped[random.usize(jpeg.len() / 4..jpeg.len() - 2)] ^= 1 << random.u8(..8));
            (flipped, None)
        }
        Some(Fault::Vast) => (reframed(jpeg, 5, &[0x4e, 0x20, 0x4e, 0x20]), None),
        Some(Fault::Deep) => (reframed(jpeg, 4, &[12]), None),
        Some(Fault::Undecodable) => (reframed(jpeg, 1, &[0xc2]), None),
        _ => (jpeg.to_vec(), None),
    };
    let said = length.unwrap_or(body.len());
    (body, said)
}

/// With other bytes in the header of its frame.
fn reframed(jpeg: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut jpeg = jpeg.to_vec();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("the encoder makes baseline pictures");
    jpeg[frame + at..][..bytes.len()].copy_from_slice(bytes);
    jpeg
}

fn is_in_body(fault: Fault) -> bool {
    use Fault::*;
    matches!(
        fault,
        Garbage
            | Truncated
            | CutShort
            | ZeroLength
            | HalfFrame
            | Padded
            | LongLength
            | ShortLength
            | Huge
            | BitFlipped
            | Vast
            | Deep
            | Undecodable
    )
}

/// One gigabyte, if the client takes it.
fn huge(wire: &mut Wire<'_>, jpeg: &[u8]) -> io::Result<()> {
    let start = &jpeg[..jpeg.len() / 2];
    wire.piece(start)?;
    let rubbish = [0x5a; 64 << 10];
    for _ in 0..(1 << 30) / rubbish.len() {
        wire.piece(&rubbish)?;
        if !wire.shared.is_on(Fault::Huge) {
            break;
        }
    }
    Ok(())
}
