"""What a course needs around the marks: who takes it, what counts until when, and one row for each student."""
