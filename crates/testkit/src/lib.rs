//! Real servers for tests: free ports, temporary folders, killed on drop
