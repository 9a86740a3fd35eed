//! The live grid behind the app's one door.

use crate::call::{CallError, Client};
use control::backend::{Backend, Command, Refused};
use model::event::Event;
use model::id::OperationId;
use model::view::View;
use std::path::Path;
use std::sync::Arc;

/// A live grid. While its controller is not reached, what it showed last stands.
pub struct Live {
    client: Client,
    view: Arc<View>,
    tag: String,
    trouble: Option<String>,
}

impl Live {
    /// The grid of the controller that was joined from a folder.
    ///
    /// # Errors
    /// Where none was, or it does not answer.
    pub fn open(folder: &Path) -> Result<Self, CallError> {
        let mut client = Client::open(folder)?;
        let shown = client.view(None)?;
        let none = || CallError::Answer("there is no view".to_owned());
        let (view, tag) = shown.ok_or_else(none)?;
        Ok(Self {
            client,
            view: Arc::new(view),
            tag,
            trouble: None,
        })
    }

    /// Why what is shown may be out of date; `None`: it is not.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn noted<T>(&mut self, said: Result<T, CallError>) -> Option<T> {
        match said {
            Ok(said) => {
                self.trouble = None;
                Some(said)
            }
            Err(error) => {
                self.trouble = Some(error.to_string());
                None
            }
        }
    }
}

impl Backend for Live {
    fn submit(&mut self, operation: OperationId, command: Command) -> Result<(), Refused> {
        match self.client.submit(operation, &command) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.refused().cloned().unwrap_or_else(|| {
                let why = error.to_string();
                Refused::Illegal { why }
            })),
        }
    }

    fn view(&mut self) -> Arc<View> {
        let said = self.client.view(Some(&self.tag));
        if let Some(Some((view, tag))) = self.noted(said) {
            (self.view, self.tag) = (Arc::new(view), tag);
        }
        Arc::clone(&self.view)
    }

    fn events(&mut self, from: u64, limit: usize) -> Vec<Event> {
        let said = self.client.events(from, limit);
        let events = self.noted(said).unwrap_or_default();
        events.into_iter().map(|shown| shown.event).collect()
    }
}
