//! Blocks of nodes packed into the texture that the map is painted from.

/// Packs blocks into the texture, side by side on shelves.
pub(super) struct Shelf {
    x: usize,
    y: usize,
    height: usize,
    width: usize,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            x: 0,
            y: 0,
            height: 0,
            width: super::TEXTURE_WIDTH,
        }
    }
}

impl Shelf {
    pub(super) fn take(&mut self, columns: usize, rows: usize) -> [usize; 2] {
        if self.x > 0 && self.x + columns > self.width {
            self.x = 0;
            self.y += self.height;
            self.height = 0;
        }
        let at = [self.x, self.y];
        self.x += columns;
        self.height = self.height.max(rows);
        self.width = self.width.max(columns);
        at
    }

    pub(super) fn size(&self) -> [usize; 2] {
        [self.width, (self.y + self.height).max(1)]
    }
}
