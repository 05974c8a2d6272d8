"""What whoever asks for a build lends it while it goes on: files, credentials, secrets, agents.

lender                  the seam
lenders                 lenders that need no client
"""
