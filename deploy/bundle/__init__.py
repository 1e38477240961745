"""What is published: the wheel, the source distribution, and a bundle per architecture that installs offline."""
