//! The program `gridwright`.

fn main() -> Result<(), app::window::OpenError> {
    app::window::open(app::window::OpenArgs::default())
}
