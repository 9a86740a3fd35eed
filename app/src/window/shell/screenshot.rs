//! A picture of the window made by the window itself: waits until all work is done, saves a PNG, leaves.

use egui::{ColorImage, Context, ViewportCommand};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Frames after the last work, so that panels and textures have settled.
const SETTLE_FRAMES: u32 = 20;

/// A picture to be taken.
#[derive(Debug)]
pub struct Screenshot {
    path: PathBuf,
    failure: Arc<Mutex<Option<String>>>,
    quiet_frames: u32,
}

impl Screenshot {
    /// A picture for this file; what goes wrong is left in `failure`.
    pub fn new(path: PathBuf, failure: Arc<Mutex<Option<String>>>) -> Self {
        Self {
            path,
            failure,
            quiet_frames: 0,
        }
    }

    /// Counts a frame; asks for the picture when it is time and saves it when it comes.
    pub fn frame(&mut self, ctx: &Context, busy: bool) {
        self.quiet_frames = if busy { 0 } else { self.quiet_frames + 1 };
        if self.quiet_frames == SETTLE_FRAMES {
            ctx.send_viewport_cmd(ViewportCommand::Screenshot(Default::default()));
        }
        let image = ctx.input(|input| {
            input.events.iter().find_map(|event| match event {
                egui::Event::Screenshot { image, .. } => Some(Arc::clone(image)),
                _ => None,
            })
        });
        if let Some(image) = image {
            if let Err(error) = save(&image, &self.path)
                && let Ok(mut failure) = self.failure.lock()
            {
                *failure = Some(format!("{}: {error}", self.path.display()));
            }
            ctx.send_viewport_cmd(ViewportCommand::Close);
        }
        ctx.request_repaint();
    }
}

fn save(image: &ColorImage, path: &Path) -> Result<(), png::EncodingError> {
    let [width, height] = image.size;
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let bytes: Vec<u8> = image
        .pixels
        .iter()
        .flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()])
        .collect();
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&bytes)?;
    writer.finish()
}
