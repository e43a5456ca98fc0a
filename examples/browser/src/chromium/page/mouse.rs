//! The mouse, and what a click sets in motion.

use std::time::Duration;

use serde_json::json;

use super::Tab;
use super::frame::Frame;
use crate::chromium::connection::at_most;
use crate::chromium::error::{Error, Result};
use crate::chromium::session::Motion;

/// How long a navigation that the page has asked for may take to begin.
const BEGIN_WITHIN: Duration = Duration::from_millis(500);

impl Tab {
    /// Moves the mouse to a point of the window and clicks there.
    pub(super) async fn click_at(&self, x: f64, y: f64) -> Result<()> {
        let event = |kind: &str, buttons: u8| {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let count = u8::from(kind != "mouseMoved");
            json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": count })
        };
        let (moved, pressed, released) =
            (event("mouseMoved", 0), event("mousePressed", 1), event("mouseReleased", 0));
        let clicked = tokio::try_join!(
            self.call("Input.dispatchMouseEvent", &moved),
            self.call("Input.dispatchMouseEvent", &pressed),
            self.call("Input.dispatchMouseEvent", &released),
        );
        match clicked {
            // A click may close its page.
            Ok(_) | Err(Error::PageClosed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Forgets what the page asked for earlier, so that what follows is known to come from the next action.
    pub(super) fn begin_action(&self) {
        self.state.change(|known| {
            if known.motion == Motion::Requested {
                known.motion = Motion::Rest;
            }
        });
    }
}

impl Frame {
    /// Waits until what an action has set in motion has come to rest: a navigation of the page is waited for.
    pub(super) async fn settle(&self) -> Result<()> {
        let tab = self.tab();
        let settled = self.driver("settle", &[], tab.config.answer_within).await;
        // Other errors are no failure: the action may have replaced the document, or closed the frame or the page.
        if let Err(error @ (Error::PageCrashed | Error::Gone { .. } | Error::Limit { .. })) = settled {
            return Err(error);
        }
        if tab.state.read(|known| known.motion == Motion::Requested) {
            let begun = tab.state.wait_until(|known| known.motion != Motion::Requested);
            // Not every navigation that is asked for begins: a mail address opens nothing.
            let _ = at_most(tab.clock(), BEGIN_WITHIN, begun).await;
        }
        let limit = tab.config.navigate_within;
        let late = |_| Error::Limit { what: "loading the page that the action opened".to_owned(), limit };
        at_most(tab.clock(), limit, tab.state.wait_until(|known| known.motion != Motion::Loading))
            .await
            .map_err(late)?;
        match tab.alive() {
            // A click may close its page.
            Err(Error::PageClosed) => Ok(()),
            alive => alive,
        }
    }
}
