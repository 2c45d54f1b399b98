// SPDX-License-Identifier: Apache-2.0
//
// The one file of the targets that only hold precompiled headers (Precompiled.cmake).
int main() { return 0; }
