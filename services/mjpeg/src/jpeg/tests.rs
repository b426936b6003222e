//! Pictures made by an encoder of others, whole and broken.

use super::*;
use crate::Url;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

const WIDTH: u16 = 333;
const HEIGHT: u16 = 210;

/// How a picture is made.
struct Made {
    sampling: SamplingFactor,
    restart: Option<u16>,
    progressive: bool,
    optimised: bool,
    grey: bool,
}

const PLAIN: Made =
    Made { sampling: SamplingFactor::R_4_2_2, restart: None, progressive: false, optimised: false, grey: false };

fn brightness(x: u16, y: u16) -> u8 {
    (x / 2 % 140 + y / 3 + (x * 7 + y * 13) % 11) as u8
}

impl Made {
    fn jpeg(&self) -> Vec<u8> {
        let places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
        let pixels: Vec<u8> = if self.grey {
            places.map(|(x, y)| brightness(x, y)).collect()
        } else {
            places.flat_map(|(x, y)| [brightness(x, y); 3]).collect()
        };
        let mut jpeg = Vec::new();
        let mut encoder = Encoder::new(&mut jpeg, 90);
        encoder.set_sampling_factor(self.sampling);
        encoder.set_progressive(self.progressive);
        encoder.set_optimized_huffman_tables(self.optimised);
        if let Some(restart) = self.restart {
            encoder.set_restart_interval(restart);
        }
        encoder.encode(&pixels, WIDTH, HEIGHT, if self.grey { ColorType::Luma } else { ColorType::Rgb }).unwrap();
        jpeg
    }
}

fn config() -> Config {
    Config { looks: 100.0, ..Config::new("http://camera/".parse::<Url>().unwrap()) }
}

/// The mean of the pixels of a block inside the picture.
fn mean(column: u16, row: u16) -> i32 {
    let pixels = (0..64).map(|at| i32::from(brightness(column * 8 + at % 8, row * 8 + at / 8)));
    pixels.sum::<i32>() / 64 - 128
}

fn check(made: &Made) {
    let jpeg = made.jpeg();
    let header = Header::read(&jpeg).unwrap();
    assert_eq!(header.size, Size { width: WIDTH, height: HEIGHT });
    let mut decoder = Decoder::default();
    let picture = decoder.decode(&header, &jpeg).unwrap().unwrap();
    for (column, row) in (0..HEIGHT / 8).flat_map(|row| (0..WIDTH / 8).map(move |column| (column, row))) {
        let level = i32::from(picture.levels[usize::from(row) * picture.width + usize::from(column)]);
        assert!((level - mean(column, row)).abs() <= 2, "{column} {row}: {level}, not {}", mean(column, row));
    }
}

#[test]
fn brightness_of_each_block() {
    check(&PLAIN);
    for sampling in [SamplingFactor::R_4_4_4, SamplingFactor::R_4_2_0, SamplingFactor::R_4_4_0] {
        check(&Made { sampling, ..PLAIN });
    }
    check(&Made { restart: Some(7), ..PLAIN });
    check(&Made { grey: true, optimised: true, ..PLAIN });
}

#[test]
fn pictures_in_several_scans_are_good_and_not_looked_at() {
    for made in [Made { progressive: true, ..PLAIN }, Made { optimised: true, ..PLAIN }] {
        let seen = Eye::new(&config()).see(&made.jpeg(), Instant::now()).unwrap();
        assert_eq!(seen, (Size { width: WIDTH, height: HEIGHT }, Look::default()));
    }
}

/// Cut anywhere within the data and ended properly, as by a camera whose buffer was too small.
#[test]
fn a_picture_cut_short() {
    for made in [PLAIN, Made { restart: Some(5), ..PLAIN }] {
        let jpeg = made.jpeg();
        let data = Header::read(&jpeg).unwrap().data;
        let cuts = (data..jpeg.len() - 40).step_by(97).filter(|cut| jpeg[cut - 1] != 0xff);
        for cut in cuts {
            let short = [&jpeg[..cut], b"\xff\xd9"].concat();
            let seen = Eye::new(&config()).see(&short, Instant::now());
            assert!(matches!(seen, Err(Flaw::Short | Flaw::Damaged)), "{cut}: {seen:?}");
        }
    }
}

#[test]
fn nearly_all_damaged_pictures_are_noticed() {
    let jpeg = PLAIN.jpeg();
    let data = Header::read(&jpeg).unwrap().data;
    let mut random = fastrand::Rng::with_seed(3);
    let noticed = (0..200).filter(|_| {
        let mut jpeg = jpeg.clone();
        let last = jpeg.len() - 2;
        (0..12).for_each(|_| jpeg[random.usize(data..last)] ^= 1 << random.u8(..8));
        Eye::new(&config()).see(&jpeg, Instant::now()).is_err()
    });
    let noticed = noticed.count();
    assert!(noticed >= 180, "{noticed} of 200");
}

#[test]
fn no_header() {
    let jpeg = PLAIN.jpeg();
    let data = Header::read(&jpeg).unwrap().data;
    // The last two bytes of a header can be those of an EOI.
    for cut in 2..data - 2 {
        let headless = [&jpeg[..cut], b"\xff\xd9"].concat();
        assert_eq!(Eye::new(&config()).see(&headless, Instant::now()), Err(Flaw::Header), "{cut}");
    }
}

#[test]
fn a_size_counts_when_it_comes_twice() {
    let (mut eye, now, small) = (Eye::new(&config()), Instant::now(), PLAIN.jpeg());
    let mut big = small.clone();
    let frame = memchr::memmem::find(&big, b"\xff\xc0").unwrap();
    big[frame + 8] -= 1;
    let mut see = |jpeg: &[u8]| eye.see(jpeg, now).map(|(size, _)| size.width);
    assert_eq!(
        [see(&small), see(&big), see(&small), see(&small)],
        [Ok(WIDTH), Err(Flaw::OddSize), Ok(WIDTH), Ok(WIDTH)]
    );
    assert_eq!([see(&big), see(&big), see(&big)], [Err(Flaw::OddSize), Ok(WIDTH - 1), Ok(WIDTH - 1)]);
}

#[test]
fn between_looks_only_the_unusual_is_read_through() {
    let mut eye = Eye::new(&Config { looks: 1.0, ..config() });
    let (jpeg, mut now) = (PLAIN.jpeg(), Instant::now());
    let mut damaged = jpeg.clone();
    let data = Header::read(&jpeg).unwrap().data;
    damaged[data + 100..data + 140].fill(0x55);
    let mut see = |jpeg: &[u8], later: u64| {
        now += Duration::from_millis(later);
        eye.see(jpeg, now).map(|(_, look)| look.motion_percent.is_some())
    };
    let first: Vec<_> = (0..20).map(|_| see(&jpeg, 66)).collect();
    assert_eq!(
        (first[0], first[1], first[13], first[14], first[15]),
        (Ok(true), Ok(false), Ok(false), Ok(true), Ok(false))
    );
    assert_eq!(see(&damaged, 66), Ok(false), "not read through");
    assert_eq!(see(&[&jpeg[..jpeg.len() / 2], b"\xff\xd9"].concat(), 66), Err(Flaw::Short));
    assert!(see(&damaged, 66).is_err(), "wary now");
}

/// A picture whose frame header is changed from its marker on.
fn reframed(change: impl FnOnce(&mut [u8])) -> Result<(Size, Look), Flaw> {
    let mut jpeg = PLAIN.jpeg();
    let frame = memchr::memmem::find(&jpeg, b"\xff\xc0").unwrap();
    change(&mut jpeg[frame..]);
    Eye::new(&config()).see(&jpeg, Instant::now())
}

#[test]
fn a_size_that_would_take_gigabytes_is_refused_before_it_is_decoded() {
    let sized = |width: u16, height: u16| {
        let [h, w] = [height, width].map(u16::to_be_bytes);
        reframed(|frame| frame[5..9].copy_from_slice(&[h[0], h[1], w[0], w[1]]))
    };
    for (width, height) in [(20_000, 20_000), (65_535, 65_535), (4097, 2160), (15, 480), (640, 1)] {
        let said = sized(width, height).unwrap_err();
        assert_eq!(said, Flaw::Size(Size { width, height }));
        assert!(said.to_string().contains(&format!("{width}x{height}, and not of 16x16 to 8847360 pixels")), "{said}");
    }
    assert!(Size { width: 2592, height: 1944 }.is_recordable() && Size { width: 641, height: 481 }.is_recordable());
}

#[test]
fn a_jpeg_that_the_decoder_swallows_is_refused_by_its_kind() {
    assert_eq!(reframed(|frame| frame[1] = 0xc3), Err(Flaw::Kind("lossless or hierarchical")));
    assert_eq!(reframed(|frame| frame[4] = 12), Err(Flaw::Kind("not of 8 bits")));
    // libjpeg-turbo decodes arithmetic coding; we do not look through it.
    assert_eq!(reframed(|frame| frame[1] = 0xc9).unwrap().1, Look::default());
    assert_eq!(header::odd(0xc0, 8, 4), Some("neither grey nor YCbCr"));
}
