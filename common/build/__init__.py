"""What make runs: notebooks, their files, README.md, and the set-up."""
