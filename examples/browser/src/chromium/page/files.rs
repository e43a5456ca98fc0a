//! Files that go into a page, and files that come out of it.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use buttress_core::ByteSize;
use serde_json::json;

use super::frame::Frame;
use super::patience::Patience;
use super::{Page, Tab};
use crate::chromium::connection::{ANSWER, at_most};
use crate::chromium::context::download_behavior;
use crate::chromium::download::{Download, Step, Transfer};
use crate::chromium::error::{Error, Result};
use crate::chromium::target::Target;

/// The largest download.
const LARGEST: ByteSize = ByteSize::mib(64);

impl Frame {
    /// Chooses files in a file field, as a person would in the file dialogue.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotUsable`] when the element takes no files, [`Error::Argument`] for a path
    /// that is not absolute or where no file is.
    pub async fn set_files(&self, target: &Target, files: &[&Path], within: Duration) -> Result<()> {
        if let Some(file) = files.iter().find(|file| !file.is_absolute() || !file.is_file()) {
            let problem = "there is no such file; write its whole path, from `/`".to_owned();
            return Err(Error::Argument {
                what: "file to upload",
                value: file.display().to_string(),
                problem,
            });
        }
        let mut patience = Patience::new(self.tab().clock(), within);
        let object = self.object("field", target, &mut patience).await?;
        let params = json!({ "objectId": object, "files": files });
        let answer = self.call("DOM.setFileInputFiles", &params).await;
        self.post("Runtime.releaseObject", &json!({ "objectId": object }));
        match answer {
            Err(Error::Refused { message, .. }) => {
                let problem = format!("does not take these files: {message}");
                Err(Error::NotUsable { target: target.to_string(), problem })
            }
            answer => answer.map(drop),
        }
    }
}

impl Page {
    /// Clicks an element and returns the file that the click downloads. Everything together `within`.
    ///
    /// One page of a context downloads at a time; at other times pages can write no file.
    ///
    /// # Errors
    ///
    /// What [`Frame::click`] fails with; [`Error::Limit`] when no download begins or ends in time;
    /// [`Error::TooLarge`] past 64 MiB, and the download is stopped; [`Error::Download`] when it breaks off.
    pub async fn download(&self, target: &Target, within: Duration) -> Result<Download> {
        Box::pin(self.downloaded_by(self.click(target, within), within)).await
    }

    /// Downloads an address that its server offers as a file.
    ///
    /// # Errors
    ///
    /// As [`download`](Page::download); [`Error::Limit`] also when the address opens as a page.
    pub async fn download_from(&self, url: &str, within: Duration) -> Result<Download> {
        let open = async {
            match self.goto(url).await {
                // A download leaves the page where it is.
                Ok(_) | Err(Error::Navigation { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        };
        Box::pin(self.downloaded_by(open, within)).await
    }

    async fn downloaded_by(
        &self,
        action: impl Future<Output = Result<()>>,
        within: Duration,
    ) -> Result<Download> {
        let tab = self.tab();
        let limit = |_| Error::Limit { what: "a download".to_owned(), limit: within };
        let allowed = Allowed::begin(tab).await?;
        let work = async {
            action.await?;
            tab.state.wait_until(|known| known.transfers.iter().any(Transfer::is_over)).await;
            tab.alive()?;
            let transfer = tab.state.read(|known| known.transfers.iter().find(|one| one.is_over()).cloned());
            transfer.ok_or(Error::PageClosed)
        };
        let transfer = at_most(tab.clock(), within, work).await.map_err(limit)??;
        let path = tab.downloads.join(&transfer.guid);
        drop(allowed);
        let Transfer { url, name, .. } = transfer;
        let failed = |problem| Error::Download { url: url.clone(), problem };
        if transfer.size > LARGEST.bytes() {
            return Err(Error::TooLarge { what: format!("the download of {url}"), limit: LARGEST });
        }
        if transfer.step != Step::Complete {
            return Err(failed("it broke off"));
        }
        let read = tokio::task::spawn_blocking(move || take(&path)).await;
        let bytes = read.map_err(|_| failed("its file could not be read"))??;
        Ok(Download { url, name, bytes: bytes.into() })
    }
}

impl Transfer {
    /// Whether there is nothing to wait for: it has ended, or is too large to be taken.
    fn is_over(&self) -> bool {
        self.step != Step::Running || self.size > LARGEST.bytes()
    }
}

/// Reads a downloaded file and removes it.
fn take(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    file.and_then(|file| file.take(LARGEST.bytes() + 1).read_to_end(&mut bytes))
        .map_err(Error::system("read the download", path))?;
    std::fs::remove_file(path).map_err(Error::system("remove the download", path))?;
    Ok(bytes)
}

/// While it lives, pages of the context may write files. Its end stops what still runs.
struct Allowed<'a>(&'a Tab);

impl<'a> Allowed<'a> {
    async fn begin(tab: &'a Tab) -> Result<Self> {
        tab.state.change(|known| known.transfers.clear());
        let allowed = Self(tab);
        let params = download_behavior(&tab.context, &tab.downloads, true);
        let within = tab.config.answer_within;
        tab.connection.call(None, "Browser.setDownloadBehavior", &params, within, ANSWER).await?;
        Ok(allowed)
    }
}

impl Drop for Allowed<'_> {
    fn drop(&mut self) {
        let tab = self.0;
        let forbid = download_behavior(&tab.context, &tab.downloads, false);
        tab.connection.post(None, "Browser.setDownloadBehavior", &forbid);
        for transfer in tab.state.change(|known| std::mem::take(&mut known.transfers)) {
            if transfer.step == Step::Running {
                let params = json!({ "guid": transfer.guid, "browserContextId": tab.context });
                tab.connection.post(None, "Browser.cancelDownload", &params);
            }
        }
    }
}
