//! Kinds of content.

use std::fmt;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal $mimes:tt $extensions:tt,)+) => {
        /// What a content is, by itself.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The kind in a configuration and as a metric's label: `"png"`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Its media types, the first of them the one to hand it out with.
            #[must_use]
            pub fn mimes(self) -> &'static [&'static str] {
                match self { $(Self::$name => &$mimes,)+ }
            }

            /// The extensions that its files have.
            #[must_use]
            pub fn extensions(self) -> &'static [&'static str] {
                match self { $(Self::$name => &$extensions,)+ }
            }
        }
    };
}

kinds! {
    /// An image.
    Png = "png" ["image/png"] ["png"],
    /// An image.
    Jpeg = "jpeg" ["image/jpeg", "image/jpg", "image/pjpeg"] ["jpg", "jpeg", "jpe", "jfif"],
    /// An image.
    Gif = "gif" ["image/gif"] ["gif"],
    /// An image.
    Webp = "webp" ["image/webp"] ["webp"],
    /// An image.
    Bmp = "bmp" ["image/bmp", "image/x-ms-bmp"] ["bmp"],
    /// An image.
    Tiff = "tiff" ["image/tiff"] ["tif", "tiff"],
    /// An icon.
    Ico = "ico" ["image/x-icon", "image/vnd.microsoft.icon"] ["ico"],
    /// An image.
    Avif = "avif" ["image/avif"] ["avif"],
    /// An image.
    Heic = "heic" ["image/heic", "image/heif"] ["heic", "heif"],
    /// A drawing in XML: it may hold scripts.
    Svg = "svg" ["image/svg+xml"] ["svg"],
    /// A document.
    Pdf = "pdf" ["application/pdf"] ["pdf"],
    /// A document.
    Rtf = "rtf" ["application/rtf", "text/rtf"] ["rtf"],
    /// A file of old Office, or another one in Microsoft's compound format.
    Ole = "ole" ["application/x-ole-storage", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint", "application/vnd.ms-outlook"] ["doc", "xls", "ppt", "msg"],
    /// A document of Word.
    Docx = "docx" ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"] ["docx"],
    /// A workbook of Excel.
    Xlsx = "xlsx" ["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"] ["xlsx"],
    /// A presentation of `PowerPoint`.
    Pptx = "pptx" ["application/vnd.openxmlformats-officedocument.presentationml.presentation"] ["pptx"],
    /// An OpenDocument text.
    Odt = "odt" ["application/vnd.oasis.opendocument.text"] ["odt"],
    /// An OpenDocument table.
    Ods = "ods" ["application/vnd.oasis.opendocument.spreadsheet"] ["ods"],
    /// An OpenDocument presentation.
    Odp = "odp" ["application/vnd.oasis.opendocument.presentation"] ["odp"],
    /// A book.
    Epub = "epub" ["application/epub+zip"] ["epub"],
    /// A program in Java or for Android.
    Jar = "jar" ["application/java-archive", "application/vnd.android.package-archive"] ["jar", "war", "apk"],
    /// An archive.
    Zip = "zip" ["application/zip", "application/x-zip-compressed"] ["zip"],
    /// One compressed file, often an archive of tar.
    Gzip = "gzip" ["application/gzip", "application/x-gzip"] ["gz", "tgz"],
    /// An archive; not inflated here.
    OtherArchive = "other_archive" ["application/x-7z-compressed", "application/vnd.rar", "application/x-bzip2", "application/x-xz", "application/zstd", "application/x-tar"] ["7z", "rar", "bz2", "xz", "zst", "tar"],
    /// Sound.
    Mp3 = "mp3" ["audio/mpeg", "audio/mp3"] ["mp3"],
    /// Sound.
    Wav = "wav" ["audio/wav", "audio/x-wav", "audio/wave"] ["wav"],
    /// Sound.
    Flac = "flac" ["audio/flac", "audio/x-flac"] ["flac"],
    /// Sound or a film.
    Ogg = "ogg" ["application/ogg", "audio/ogg", "video/ogg"] ["ogg", "oga", "ogv", "opus"],
    /// A film, or sound.
    Mp4 = "mp4" ["video/mp4", "audio/mp4", "video/quicktime", "audio/x-m4a"] ["mp4", "m4a", "m4v", "mov"],
    /// A film.
    Webm = "webm" ["video/webm", "audio/webm", "video/x-matroska"] ["webm", "mkv"],
    /// A web page.
    Html = "html" ["text/html", "application/xhtml+xml"] ["html", "htm", "xhtml"],
    /// XML of any kind but SVG and web pages.
    Xml = "xml" ["application/xml", "text/xml"] ["xml", "xsd", "rss", "atom"],
    /// Text without a kind that its content tells: CSV, JSON, Markdown, sources.
    Text = "text" ["text/plain", "text/csv", "text/markdown", "text/tab-separated-values", "application/json", "application/yaml"] ["txt", "csv", "tsv", "md", "json", "jsonl", "log", "yaml", "yml", "toml", "ini", "srt", "vtt"],
    /// A program: ELF, PE, Mach-O, WebAssembly, a class of Java, a script with `#!`.
    Program = "program" ["application/octet-stream", "application/x-executable", "application/vnd.microsoft.portable-executable"] ["exe", "dll", "so", "bin", "wasm", "class", "sh", "py"],
    /// None of these.
    Unknown = "unknown" ["application/octet-stream"] [],
}

impl Kind {
    /// Whether content of this kind is a ZIP archive.
    #[must_use]
    pub fn is_zip(self) -> bool {
        matches!(
            self,
            Self::Zip
                | Self::Jar
                | Self::Epub
                | Self::Docx
                | Self::Xlsx
                | Self::Pptx
                | Self::Odt
                | Self::Ods
                | Self::Odp
        )
    }

    /// Whether it is read as text.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Html | Self::Xml | Self::Svg | Self::Rtf)
    }

    /// Whether a sender who said `mime` may have meant this kind. Parameters do not count, and "some bytes" is no claim.
    #[must_use]
    pub fn has_mime(self, mime: &str) -> bool {
        let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        matches!(&*mime, "" | "application/octet-stream" | "binary/octet-stream")
            || self.mimes().contains(&&*mime)
    }

    /// Whether files of this kind have `extension`, in any case.
    #[must_use]
    pub fn has_extension(self, extension: &str) -> bool {
        self.extensions().iter().any(|own| own.eq_ignore_ascii_case(extension))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
