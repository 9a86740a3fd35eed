//! Pictures of the window, and which page they show: told by the colours of its contents alone.

use app::window::kept::Page;
use app::window::theme::Palette;
use app::window::theme::colour_map::ColourMap;
use egui::Color32;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

/// The heatmap of the sample fills a third of the window on the Grid page, and a sixtieth on the Lab page.
const HEATMAP_SHARE: f64 = 0.1;

/// A line across a plot has some hundred pixels of its pure colour, the icon of a component not so many.
const LINE_PIXELS: usize = 250;

/// Each icon of the Design page has at least this many pixels of its pure colour.
const ICON_PIXELS: usize = 20;

/// A picture as the counts of its colours.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    counts: HashMap<Color32, usize>,
}

impl Picture {
    /// Of a PNG in RGB with 8 bits a channel.
    pub fn of_png(file: &Path) -> Self {
        let opened = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut reader = png::Decoder::new(BufReader::new(opened))
            .read_info()
            .expect("the picture is a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("the picture is small")];
        let info = reader.next_frame(&mut bytes).expect("the PNG is whole");
        assert_eq!(
            (info.color_type, info.bit_depth),
            (png::ColorType::Rgb, png::BitDepth::Eight)
        );
        let pixels = bytes
            .chunks_exact(3)
            .map(|rgb| Color32::from_rgb(rgb[0], rgb[1], rgb[2]));
        Self::new(info.width as usize, info.height as usize, pixels)
    }

    /// Of the screen of Xvfb, which it keeps in a file of the form XWD: a header of big-endian words, a table
    /// of colours, rows of pixels (`XWDFile.h` of the X11 protocol). Pixels are taken as blue, green, red, unused.
    pub fn of_screen(file: &Path) -> Self {
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let word = |index: usize| {
            let four = bytes[4 * index..][..4].try_into();
            u32::from_be_bytes(four.expect("four bytes are four bytes")) as usize
        };
        let (header, width, height) = (word(0), word(4), word(5));
        let (bits_per_pixel, bytes_per_line, colours) = (word(11), word(12), word(19));
        assert_eq!(bits_per_pixel, 32, "{}", file.display());
        // A colour of the table has twelve bytes.
        let rows = bytes[header + 12 * colours..].chunks_exact(bytes_per_line);
        let pixels = rows.take(height).flat_map(|row| {
            row.chunks_exact(4)
                .take(width)
                .map(|bgr| Color32::from_rgb(bgr[2], bgr[1], bgr[0]))
        });
        Self::new(width, height, pixels)
    }

    fn new(width: usize, height: usize, pixels: impl Iterator<Item = Color32>) -> Self {
        let mut counts = HashMap::new();
        for pixel in pixels {
            *counts.entry(pixel).or_default() += 1;
        }
        Self {
            width,
            height,
            counts,
        }
    }

    pub fn distinct_colours(&self) -> usize {
        self.counts.len()
    }

    /// The page it shows with the sample, in the dark theme; `None` while it shows none, or not all of it.
    pub fn page(&self) -> Option<Page> {
        let heatmap = self.heatmap_share();
        let [first, second, ..] = self.series();
        let icons = self.series().into_iter().all(|count| count >= ICON_PIXELS);
        if heatmap >= HEATMAP_SHARE {
            Some(Page::Grid)
        } else if heatmap > 0.0 && first.min(second) >= LINE_PIXELS {
            Some(Page::Lab)
        } else if heatmap == 0.0 && icons {
            Some(Page::Design)
        } else {
            None
        }
    }

    /// The figures that decide about the page.
    pub fn told(&self) -> String {
        format!(
            "share of heatmap colours: {:.4}, pixels in colours of plot lines and icons: {:?}",
            self.heatmap_share(),
            self.series()
        )
    }

    /// The share of the picture in colours of Viridis.
    fn heatmap_share(&self) -> f64 {
        let map: HashSet<Color32> = ColourMap::Viridis.table().into_iter().collect();
        let pixels: usize = map.iter().map(|colour| self.count(*colour)).sum();
        pixels as f64 / (self.width * self.height) as f64
    }

    /// Pixels in the colours of plot lines, which are those of the icons too.
    fn series(&self) -> [usize; 7] {
        Palette::DARK.series.map(|colour| self.count(colour))
    }

    fn count(&self, colour: Color32) -> usize {
        self.counts.get(&colour).copied().unwrap_or(0)
    }
}
