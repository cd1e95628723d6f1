"""What a dispatcher decides, as pure functions of what a dispatcher can see."""
