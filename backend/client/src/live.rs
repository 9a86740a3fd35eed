//! The live grid behind the app's one door.

use crate::call::{CallError, Client};
use control::backend::{Backend, Command, ENDED_TOLD, Refused, Standing};
use control::shown::EventShown;
use model::id::OperationId;
use model::view::View;
use std::sync::Arc;

/// A live grid. While its controller is not reached, what it showed last stands.
pub struct Live {
    client: Client,
    view: Arc<View>,
    tag: String,
    standing: Standing,
    trouble: Option<String>,
}

impl Live {
    /// The grid of a controller.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn open(mut client: Client) -> Result<Self, CallError> {
        let shown = client.view(None)?;
        let none = || CallError::Answer("there is no view".to_owned());
        let (view, tag) = shown.ok_or_else(none)?;
        Ok(Self {
            client,
            view: Arc::new(view),
            tag,
            standing: Standing::default(),
            trouble: None,
        })
    }

    /// Where its controller listens: `HOST:PORT`.
    pub fn address(&self) -> &str {
        self.client.address()
    }

    /// Why what it told last may be out of date; `None`: it is not.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// All that stands, of three answers: each is whole, and the next look mends what differs.
    fn look(&mut self) -> Result<Standing, CallError> {
        Ok(Standing {
            operations: self
                .client
                .get(&format!("/v1/operations?ended={ENDED_TOLD}"))?,
            vms: self.client.get("/v1/vms")?,
            designs: self.client.get("/v1/designs")?,
            trouble: None,
        })
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

    fn call_off(&mut self, operation: OperationId) {
        let said = self.client.call_off(operation);
        // One that is over, or unknown, is no trouble.
        if !matches!(said, Err(CallError::Fault(_))) {
            self.noted(said);
        }
    }

    fn standing(&mut self) -> Standing {
        let said = self.look();
        if let Some(standing) = self.noted(said) {
            self.standing = standing;
        }
        self.standing.trouble.clone_from(&self.trouble);
        self.standing.clone()
    }

    fn events(&mut self, from: u64, limit: usize) -> Vec<EventShown> {
        let said = self.client.events(from, limit);
        self.noted(said).unwrap_or_default()
    }
}
