//! The question whose grid is to be joined: where its controller listens, and the token it has given.

use crate::window::command::Command;
use client::call::{CallError, Client, usual_folder};
use egui::{Key, TextEdit, Ui};
use link::token::Token;
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What was typed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Joining {
    address: String,
    /// Good for one use only, and shown by nobody.
    token: Zeroizing<String>,
}

impl fmt::Debug for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Joining({})", self.address)
    }
}

impl Joining {
    /// Where the controller listens: `HOST:PORT`.
    pub fn address(&self) -> &str {
        self.address.trim()
    }

    /// Why it cannot be tried; `None`: it can.
    fn fault(&self) -> Option<String> {
        if self.address().is_empty() {
            return Some("where the controller listens is missing, as 10.0.0.1:7433".to_owned());
        }
        let token: Result<Token, _> = self.token.trim().parse();
        token.err().map(|error| error.to_string())
    }

    /// Joins, and keeps what is needed in a folder.
    ///
    /// # Errors
    /// Where the controller is not there, is another one, or does not take the token.
    pub fn join(&self, folder: Option<PathBuf>) -> Result<(), CallError> {
        let homeless = || CallError::NotJoined("a user without a home".to_owned());
        let folder = folder.or_else(usual_folder).ok_or_else(homeless)?;
        let token = self.token.trim().parse();
        let token = token.map_err(|error| CallError::Answer(format!("{error}")))?;
        Client::join(&folder, self.address(), &token).map(|_| ())
    }

    /// Draws it; the command to join, once it is given.
    pub fn ui(&mut self, ui: &mut Ui) -> Option<Command> {
        ui.label(
            "An admin of the grid prints a token by `gridwright-controller token admin NAME`.",
        );
        ui.add_space(8.0);
        let mut field = |text: &mut String, title: &str, hint: &str, is_secret: bool| {
            let field = TextEdit::singleline(text)
                .hint_text(hint)
                .password(is_secret)
                .desired_width(f32::INFINITY);
            let label = ui.label(title);
            let field = ui.add(field).labelled_by(label.id);
            ui.add_space(4.0);
            field.lost_focus()
        };
        field(&mut self.address, "Controller", "HOST:PORT", false);
        let entered = field(&mut self.token, "Token", "as it was printed", true);
        let entered = entered && ui.input(|input| input.key_pressed(Key::Enter));
        let fault = self.fault();
        let button = ui.add_enabled(fault.is_none(), egui::Button::new("Join"));
        let is_asked = match &fault {
            None => button.clicked() || entered,
            Some(fault) => {
                button.on_disabled_hover_text(fault);
                false
            }
        };
        is_asked.then(|| Command::Join(Box::new(std::mem::take(self))))
    }
}
