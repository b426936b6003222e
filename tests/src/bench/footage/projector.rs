//! A camera that costs next to nothing: it sends what is in memory, to each who comes from the beginning, in chunks as
//! an ESP32-CAM does.

use super::reel::Reel;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Pictures a second.
pub(super) const FPS: u32 = 15;
const BOUNDARY: &str = "123456789000000000000987654321";

/// Shows a reel until it is dropped.
pub(super) struct Projector {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Projector {
    /// On a free port.
    pub(super) fn start(reel: &Reel) -> io::Result<Projector> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let projector = Projector { address: listener.local_addr()?, over: Arc::default() };
        let (reel, over) = (reel.clone(), projector.over.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten().take_while(|_| !over.load(SeqCst)) {
                let (reel, over) = (reel.clone(), over.clone());
                // Whoever has seen enough closes the connection.
                thread::spawn(move || drop(show(client, &reel, &over)));
            }
        });
        Ok(projector)
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        format!("http://{}/stream", self.address)
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        // So that it notices.
        let _ = TcpStream::connect(self.address);
    }
}

fn show(mut client: TcpStream, reel: &Reel, over: &AtomicBool) -> io::Result<()> {
    client.set_nodelay(true)?;
    let _ = client.read(&mut [0; 4096])?;
    let kind = format!("Content-Type: multipart/x-mixed-replace;boundary={BOUNDARY}");
    client.write_all(format!("HTTP/1.1 200 OK\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes())?;
    let began = Instant::now();
    for (number, jpeg) in (0..).zip(reel.pictures.iter().cycle()) {
        let due = Duration::from_secs(number) / FPS;
        thread::sleep(due.saturating_sub(began.elapsed()));
        if over.load(SeqCst) {
            break;
        }
        let stamp = format!("X-Timestamp: {}.{:06}", due.as_secs(), due.subsec_micros());
        let head = format!("Content-Type: image/jpeg\r\nContent-Length: {}\r\n{stamp}\r\n\r\n", jpeg.len());
        let boundary = format!("\r\n--{BOUNDARY}\r\n");
        for piece in [boundary.as_bytes(), head.as_bytes(), jpeg] {
            client.write_all(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat())?;
        }
    }
    Ok(())
}
