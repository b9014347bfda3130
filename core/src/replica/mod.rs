//! One destination of one database: layout, listing, upload.
