"""Chunks trained side by side: on threads of this process, and by other ranks."""
