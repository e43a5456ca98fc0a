//! A frame: a document in a page, its own or that of an `iframe`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_core::ByteSize;
use serde_json::{Value, json};

use super::Tab;
use super::patience::Patience;
use crate::chromium::connection::ANSWER;
use crate::chromium::error::{Error, Result};
use crate::chromium::session::text;
use crate::chromium::target::Target;

/// A document in a page: the page's own, or that of an `iframe`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Frame(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tab: Arc<Tab>,
    /// The frame's name in the browser.
    id: String,
    /// The frame around it, and the `iframe` element there.
    owner: Option<(Frame, String)>,
    /// The driver's own world in the present document, and the session that knows it by this number.
    world: Mutex<Option<(String, i64)>>,
}

impl Frame {
    pub(super) fn main(tab: Tab) -> Self {
        let id = tab.target.clone();
        Self(Arc::new(Inner { tab: Arc::new(tab), id, owner: None, world: Mutex::default() }))
    }

    pub(super) fn tab(&self) -> &Tab {
        &self.0.tab
    }

    pub(super) fn id(&self) -> &str {
        &self.0.id
    }

    /// The session that reaches the frame: the page's, or its own when it runs in another process. It may move to
    /// one at any time.
    fn session(&self) -> String {
        let Some((outer, _)) = &self.0.owner else { return self.tab().session.clone() };
        let own = self.tab().state.read(|known| known.frames.get(self.id()).cloned());
        own.unwrap_or_else(|| outer.session())
    }

    pub(super) fn known_world(&self) -> Option<i64> {
        let world = self.0.world.lock().unwrap_or_else(PoisonError::into_inner).clone();
        world.filter(|(session, _)| *session == self.session()).map(|(_, world)| world)
    }

    pub(super) fn keep_world(&self, world: i64) {
        let kept = (self.session(), world);
        *self.0.world.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }

    pub(super) fn forget_world(&self) {
        *self.0.world.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the frame is the one that its session calls its own.
    pub(super) fn is_top_of_session(&self) -> bool {
        self.0.owner.as_ref().is_none_or(|(outer, _)| outer.session() != self.session())
    }

    pub(super) async fn call(&self, method: &'static str, params: &Value) -> Result<Value> {
        self.call_for(method, params, self.tab().config.answer_within, ANSWER).await
    }

    pub(super) async fn call_for(
        &self,
        method: &'static str,
        params: &Value,
        within: Duration,
        most: ByteSize,
    ) -> Result<Value> {
        let connection = &self.tab().connection;
        let session = self.session();
        let answer = Box::pin(connection.call(Some(&session), method, params, within, most)).await;
        match answer {
            // The session of a frame ends when the frame goes; the page may be well.
            Err(Error::PageClosed) if self.0.owner.is_some() => {
                self.tab().alive()?;
                Err(Error::FrameGone)
            }
            answer => answer,
        }
    }

    pub(super) fn post(&self, method: &'static str, params: &Value) {
        self.tab().connection.post(Some(&self.session()), method, params);
    }

    /// The frame of the `iframe` that `target` names, waiting for it `within`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], or [`Error::NotUsable`] when the element is no frame.
    pub async fn frame(&self, target: &Target, within: Duration) -> Result<Self> {
        let mut patience = Patience::new(self.tab().clock(), within);
        let object = self.object("find", target, &mut patience).await?;
        let answer = self.call("DOM.describeNode", &json!({ "objectId": object })).await?;
        let id = answer.get("node").map(|node| text(node, "frameId")).unwrap_or_default();
        if id.is_empty() {
            let problem = "is no frame".to_owned();
            return Err(Error::NotUsable { target: target.to_string(), problem });
        }
        let inner = Inner {
            tab: self.0.tab.clone(),
            id: id.to_owned(),
            owner: Some((self.clone(), object)),
            world: Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The handle of an element, once it is there.
    pub(super) async fn object(
        &self,
        function: &str,
        target: &Target,
        patience: &mut Patience,
    ) -> Result<String> {
        loop {
            let look = patience.one_look(self.tab().config.answer_within);
            if let Some(object) = self.driver_object(function, &[target.argument()], look).await? {
                return Ok(object);
            }
            if !patience.pause().await {
                return Err(Error::NotFound { target: target.to_string() });
            }
        }
    }

    /// Where a point of this frame is in the page's window. Fails when something covers the frame there.
    pub(super) async fn in_window(&self, target: &Target, point: (f64, f64)) -> Result<(f64, f64)> {
        let (mut frame, mut point) = (self, point);
        while let Some((outer, element)) = &frame.0.owner {
            let params = json!({
                "objectId": element, "returnByValue": true,
                "functionDeclaration": "function (x, y) { return driver.through(this, x, y); }",
                "arguments": [{ "value": point.0 }, { "value": point.1 }],
            });
            let answer = match outer.call("Runtime.callFunctionOn", &params).await {
                Err(Error::Refused { .. }) => return Err(Error::FrameGone),
                answer => answer?,
            };
            let value = answer.pointer("/result/value").unwrap_or(&Value::Null);
            point = super::elements::point(target, value)?;
            frame = outer;
        }
        Ok(point)
    }
}
