"""What every other package stands on: errors, files, arrays, drawing and progress."""
